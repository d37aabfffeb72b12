"""Any traced network as a program for IREE: its graph, the kernels that compute it, and how weights lie for them."""
