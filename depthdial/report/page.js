// What the page does beyond reading: the dial turns, points tell their figures, the replayed day plays.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const reduced = matchMedia("(prefers-reduced-motion: reduce)").matches;

  // Figures of points and cells, pointed at or reached by the keyboard.
  const tip = document.getElementById("tip");
  function say(text, at) {
    tip.textContent = text;
    tip.hidden = false;
    const box = at.getBoundingClientRect(), own = tip.getBoundingClientRect();
    tip.style.left = Math.max(4, Math.min(innerWidth - own.width - 4, box.left + box.width / 2 - own.width / 2)) + "px";
    tip.style.top = (box.top - own.height - 8 > 0 ? box.top - own.height - 8 : box.bottom + 8) + "px";
  }
  const hush = () => { tip.hidden = true; };
  // Of many things beside one another only one is in the order of tabs; arrows, Home and End go on from there.
  function roving(things, move) {
    things.forEach((thing, index) => thing.addEventListener("keydown", (event) => {
      const to = move(event.key, index);
      if (to === undefined || !things[to]) return;
      event.preventDefault();
      things.forEach((one) => one.setAttribute("tabindex", "-1"));
      things[to].setAttribute("tabindex", "0");
      things[to].focus();
    }));
  }
  function telling(thing, text) {
    thing.setAttribute("aria-label", text);
    thing.addEventListener("mouseenter", () => say(text, thing));
    thing.addEventListener("mouseleave", hush);
    thing.addEventListener("focus", () => say(text, thing));
    thing.addEventListener("blur", hush);
  }
  for (const svg of document.querySelectorAll(".drawing svg")) {
    const points = [...svg.querySelectorAll(".told")];
    points.forEach((point, index) => {
      const title = point.querySelector("title");
      point.setAttribute("role", "img");
      point.setAttribute("tabindex", index ? "-1" : "0");
      telling(point, title.textContent);
      title.remove();
    });
    const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
    roving(points, (key, index) =>
      key === "Home" ? 0 : key === "End" ? points.length - 1 : steps[key] && index + steps[key]);
  }

  function blocks(mask) {
    const row = document.createElement("span");
    row.className = "mask";
    row.setAttribute("role", "img");
    row.setAttribute("aria-label", `keeps ${count(mask)} of ${mask.length} blocks: ${mask}`);
    for (const bit of mask) row.append(Object.assign(document.createElement("i"), { className: bit === "1" ? "kept" : "skipped" }));
    return row;
  }
  const count = (mask) => mask.split("1").length - 1;

  function dial(section, place) {
    const { axes, settings, cells, reasons, unserved } = place.dial;
    const sliders = [...section.querySelectorAll("input[data-axis]")];
    const level = place.dial.start.slice();
    const map = section.querySelector(".map");
    const across = Number(map.dataset.across), up = Number(map.dataset.up);
    const rows = [...map.tBodies[0].rows].map((row) => [...row.querySelectorAll("td")]);
    const width = axes[across].texts.length;
    const missed = new Set(unserved);
    const number = (levels) => levels.reduce((cell, index, axis) => cell * axes[axis].texts.length + index, 0);
    const show = (name) => section.querySelector(`.dial [data-show=${name}]`);
    // Rows of the map go from the highest level down.
    const levels = (row, column) => level.map((index, axis) =>
      axis === across ? column : axis === up ? rows.length - 1 - row : index);
    const text = (axis, index) => `${axes[axis].bound} ${axes[axis].texts[index]}`;
    const fixed = axes.map((axis, index) => index).filter((index) => index !== across && index !== up);

    function draw(focus) {
      const cell = number(level), chosen = settings[cells[cell]];
      sliders.forEach((slider, axis) => {
        slider.value = level[axis];
        slider.setAttribute("aria-valuetext", text(axis, level[axis]));
        section.querySelector(`output[for="${slider.id}"]`).textContent = text(axis, level[axis]);
      });
      show("name").textContent = chosen.name;
      show("kept").textContent = `keeps ${count(chosen.mask)} of ${chosen.mask.length} blocks`;
      show("mask").replaceChildren(blocks(chosen.mask));
      for (const name of ["accuracy", "latency", "energy"]) show(name).textContent = chosen[name];
      show("why").textContent = reasons[cell];
      section.querySelector(".dial").dataset.cell = cell;
      if (fixed.length) show("fixed").textContent = fixed.map((axis) => `${axes[axis].name} ${text(axis, level[axis])}`).join(", ");
      rows.forEach((row, y) => row.forEach((td, x) => {
        const there = number(levels(y, x)), now = there === cell, index = cells[there];
        td.textContent = settings[index].name;
        td.className = `s${place.shades[index]}${now ? " now" : ""}${missed.has(there) ? " unserved" : ""}`;
        td.setAttribute("tabindex", now ? "0" : "-1");
        td.setAttribute("aria-current", String(now));
        if (now && focus) td.focus();
      }));
      for (const point of section.querySelectorAll(".first .told"))
        point.classList.toggle("on", point.getAttribute("aria-label").split(/[,:]/)[0] === chosen.name);
    }
    sliders.forEach((slider, axis) => slider.addEventListener("input", () => { level[axis] = Number(slider.value); draw(); }));
    const flat = rows.flat();
    flat.forEach((td, index) => {
      const here = () => levels(Math.floor(index / width), index % width);
      const words = () => {
        const one = settings[cells[number(here())]];
        const late = missed.has(number(here())) ? "; not in time" : "";
        return `${one.name}: ${one.accuracy}, ${one.latency}, ${one.energy}${late}`;
      };
      td.removeAttribute("title");
      const tell = () => { td.setAttribute("aria-label", words()); say(words(), td); };
      td.addEventListener("mouseenter", tell);
      td.addEventListener("mouseleave", hush);
      td.addEventListener("blur", hush);
      td.addEventListener("focus", () => { here().forEach((to, axis) => { level[axis] = to; }); draw(); tell(); });
      td.addEventListener("click", () => td.focus());
    });
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: width, ArrowUp: -width };
    roving(flat, (key, index) => {
      const to = key === "Home" ? 0 : key === "End" ? flat.length - 1 : steps[key] && index + steps[key];
      const wraps = Math.abs(steps[key]) === 1 && Math.floor(to / width) !== Math.floor(index / width);
      return wraps ? undefined : to;
    });
    draw();
  }

  function day(section, { day: moments, dial: { settings } }) {
    const masks = Object.fromEntries(settings.map((one) => [one.name, one.mask]));
    const slider = section.querySelector(".player input"), button = section.querySelector("button");
    const drawing = section.querySelector(".drawing"), points = [...drawing.querySelectorAll(".told")];
    const cursor = drawing.appendChild(Object.assign(document.createElement("div"), { className: "cursor" }));
    const show = (name, text) => { section.querySelector(`[data-show=${name}]`).textContent = text; };
    const share = (value) => `${Math.round(100 * value)} %`;
    let timer = 0;
    function draw() {
      const at = Number(slider.value), now = moments[at];
      const clock = `${Math.floor(now.hour)}:${String(Math.floor((now.hour % 1) * 60)).padStart(2, "0")}`;
      show("hour", clock);
      show("deadline", now.deadline);
      show("configuration", now.configuration);
      const mask = masks[now.configuration];
      section.querySelector("[data-show=day-mask]").replaceChildren(...(mask ? [blocks(mask)] : []));
      show("battery", share(now.battery));
      show("battery-full", `the full network alone: ${share(now.battery_full)}`);
      show("correct", now.correct.toLocaleString("en"));
      show("correct-full", `the full network alone: ${now.correct_full.toLocaleString("en")}`);
      slider.setAttribute("aria-valuetext", `${clock}, ${now.configuration}, charge left ${share(now.battery)}`);
      if (!points[at]) return;
      const box = points[at].getBoundingClientRect(), frame = drawing.getBoundingClientRect();
      cursor.style.left = `${box.left + box.width / 2 - frame.left + drawing.scrollLeft - 1}px`;
    }
    function stop() {
      clearInterval(timer);
      timer = 0;
      button.textContent = "Play";
      button.setAttribute("aria-pressed", "false");
    }
    button.addEventListener("click", () => {
      if (timer) return stop();
      if (Number(slider.value) >= moments.length - 1) slider.value = 0;
      button.textContent = "Pause";
      button.setAttribute("aria-pressed", "true");
      timer = setInterval(() => {
        slider.value = Number(slider.value) + 1;
        draw();
        if (Number(slider.value) >= moments.length - 1) stop();
      }, reduced ? 600 : 120);
    });
    slider.addEventListener("input", draw);
    addEventListener("resize", draw);
    draw();
  }

  document.documentElement.classList.remove("no-script");
  for (const section of document.querySelectorAll(".place")) {
    const place = data[section.dataset.place];
    dial(section, place);
    const shown = section.querySelector(".day");
    if (shown) day(shown, place);
  }
  // A link into a folded section opens it.
  function unfold() {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const folded = target && target.closest("details");
    if (folded) { folded.open = true; target.scrollIntoView(); }
  }
  addEventListener("hashchange", unfold);
  unfold();
  addEventListener("keydown", (event) => { if (event.key === "Escape") hush(); });
})();
