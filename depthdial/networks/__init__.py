"""What a network is: its description, its masks, its weights, the families that it comes from."""
