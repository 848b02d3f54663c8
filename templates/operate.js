// Puts newer numbers into their places while somebody looks, and rests while something is selected. Everything here
// works without it: then the pages are reloaded.
"use strict";
(() => {
  const status = document.getElementById("live");
  const picked = document.getElementById("picked");
  const pickAll = document.getElementById("pick-all");
  const boxes = [...document.querySelectorAll('#found-form input[type="checkbox"]')];
  let source = null;

  const say = (words) => {
    if (status && status.textContent !== words) status.textContent = words;
  };

  const show = (numbers) => {
    for (const place of document.querySelectorAll("[data-live]")) {
      const text = numbers[place.dataset.live];
      if (text === undefined || text === place.textContent) continue;
      place.textContent = text;
      if (place.dataset.liveClass) place.className = `${place.dataset.liveClass} ${text}`;
    }
    for (const place of document.querySelectorAll("[data-show]")) {
      const word = numbers[place.dataset.show];
      if (word !== undefined && !place.contains(document.activeElement)) place.hidden = word !== "yes";
    }
  };

  const listen = () => {
    if (source || document.hidden) return;
    source = new EventSource("/operate/events");
    source.onmessage = (event) => {
      show(JSON.parse(event.data));
      say("The numbers are live.");
    };
    source.onerror = () => say("The numbers stand still: the gateway does not answer. Trying again.");
  };

  const rest = () => {
    if (source) source.close();
    source = null;
  };

  const look = () => {
    const count = boxes.filter((box) => box.checked).length;
    if (picked) picked.textContent = count ? `(${count})` : "";
    if (count) {
      rest();
      say("The numbers stand still while something is selected.");
    } else {
      listen();
    }
  };

  if (pickAll) {
    pickAll.hidden = boxes.length === 0;
    pickAll.addEventListener("click", () => {
      const wanted = boxes.some((box) => !box.checked);
      for (const box of boxes) box.checked = wanted;
      look();
    });
  }
  for (const box of boxes) box.addEventListener("change", look);
  document.addEventListener("visibilitychange", () => (document.hidden ? rest() : look()));
  window.addEventListener("pageshow", look);
  look();
})();
