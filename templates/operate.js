// Updates the numbers of the page from the event stream, except while something is selected. The pages also work without
// this script: browsers then reload them.
"use strict";
(() => {
  const status = document.getElementById("live");
  const selectedCount = document.getElementById("selected-count");
  const selectAll = document.getElementById("select-all");
  const boxes = [...document.querySelectorAll('#found-form input[type="checkbox"]')];
  const RETRY_MS = 30_000;
  let source = null;

  const setStatus = (text) => {
    if (status && status.textContent !== text) status.textContent = text;
  };

  const applyValues = (values) => {
    for (const element of document.querySelectorAll("[data-live]")) {
      const text = values[element.dataset.live];
      if (text === undefined || text === element.textContent) continue;
      element.textContent = text;
      if (element.dateTime !== undefined) element.dateTime = `${text}Z`;
      if (element.dataset.liveClass) element.className = `${element.dataset.liveClass} ${text}`;
    }
    for (const element of document.querySelectorAll("[data-show]")) {
      const value = values[element.dataset.show];
      if (value !== undefined && !element.contains(document.activeElement)) element.hidden = value !== "yes";
    }
  };

  const connect = () => {
    if (source || document.hidden) return;
    source = new EventSource("/operate/events");
    source.onmessage = (event) => {
      applyValues(JSON.parse(event.data));
      setStatus("The numbers are live.");
    };
    source.onerror = () => {
      if (source.readyState !== EventSource.CLOSED) {
        setStatus("Updates are paused: the gateway does not respond. Trying again.");
        return;
      }
      // The gateway refused the stream. Browsers retry only interrupted streams.
      setStatus("Updates are paused. Reload the page for newer numbers.");
      disconnect();
      setTimeout(updateConnection, RETRY_MS);
    };
  };

  const disconnect = () => {
    if (source) source.close();
    source = null;
  };

  const updateConnection = () => {
    const count = boxes.filter((box) => box.checked).length;
    if (selectedCount) selectedCount.textContent = count ? `(${count})` : "";
    if (count) {
      disconnect();
      setStatus("Updates are paused while something is selected.");
    } else {
      connect();
    }
  };

  if (selectAll) {
    selectAll.hidden = boxes.length === 0;
    selectAll.addEventListener("click", () => {
      const checked = boxes.some((box) => !box.checked);
      for (const box of boxes) box.checked = checked;
      updateConnection();
    });
  }
  for (const box of boxes) box.addEventListener("change", updateConnection);
  // A form that changes something is sent only once, even if its button is pressed again.
  let isSent = false;
  document.addEventListener("submit", (event) => {
    if (event.target.method !== "post") return;
    if (isSent) event.preventDefault();
    isSent = true;
  });
  document.addEventListener("visibilitychange", () => (document.hidden ? disconnect() : updateConnection()));
  window.addEventListener("pageshow", () => {
    isSent = false;
    updateConnection();
  });
  updateConnection();
})();
