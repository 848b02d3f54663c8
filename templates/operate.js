// Puts newer numbers into their places while somebody looks, and rests while something is selected. Everything here
// works without it: then the pages are reloaded.
"use strict";
(() => {
  const status = document.getElementById("live");
  const picked = document.getElementById("picked");
  const pickAll = document.getElementById("pick-all");
  const boxes = [...document.querySelectorAll('#found-form input[type="checkbox"]')];
  const RETRY_MS = 30_000;
  let source = null;

  const say = (words) => {
    if (status && status.textContent !== words) status.textContent = words;
  };

  const show = (numbers) => {
    for (const place of document.querySelectorAll("[data-live]")) {
      const text = numbers[place.dataset.live];
      if (text === undefined || text === place.textContent) continue;
      place.textContent = text;
      if (place.dateTime !== undefined) place.dateTime = `${text}Z`;
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
    source.onerror = () => {
      if (source.readyState !== EventSource.CLOSED) {
        say("The numbers stand still: the gateway does not answer. Trying again.");
        return;
      }
      // Refused, not cut off: a browser does not try again by itself.
      say("The numbers stand still. Reload the page for newer ones.");
      rest();
      setTimeout(look, RETRY_MS);
    };
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
  // A form that changes something is sent once, however often its button is pressed.
  let isSent = false;
  document.addEventListener("submit", (event) => {
    if (event.target.method !== "post") return;
    if (isSent) event.preventDefault();
    isSent = true;
  });
  document.addEventListener("visibilitychange", () => (document.hidden ? rest() : look()));
  window.addEventListener("pageshow", () => {
    isSent = false;
    look();
  });
  look();
})();
