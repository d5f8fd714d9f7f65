// Comforts only: every page works without this file.
"use strict";

(function () {
  const every = 5000;
  const seconds = 1000;

  // Live counts. Asks while the page is looked at; stops when the log-in has ended.
  const counts = document.querySelector("[data-counts]");
  if (counts) {
    const live = document.querySelector("[data-live]");
    const changed = counts.querySelector("[data-changed]");
    let before = null;
    let failures = 0;

    const show = function (answer) {
      for (const place of counts.querySelectorAll("[data-count]")) {
        const name = place.dataset.count;
        place.textContent = answer.text[name];
        place.closest("a").classList.toggle("zero", answer.counts[name] === 0);
      }
      const looks = counts.querySelector("[data-looks]");
      looks.classList.toggle("none", looks.querySelector(".look:not(.zero)") === null);
      const now = JSON.stringify(answer.counts);
      if (before !== null && before !== now && !changed.firstChild) {
        const link = document.createElement("a");
        link.href = changed.dataset.href;
        link.textContent = changed.dataset.words;
        changed.append(link);
      }
      before = now;
      live.hidden = false;
    };

    const stop = function () {
      live.hidden = true;
      changed.textContent = counts.dataset.stopped;
    };

    const ask = async function () {
      if (document.hidden) {
        setTimeout(ask, every);
        return;
      }
      const started = performance.now();
      try {
        const response = await fetch(counts.dataset.counts, { headers: { Accept: "application/json" } });
        if (response.status === 401) {
          stop();
          return;
        }
        if (!response.ok) {
          throw new Error(String(response.status));
        }
        show(await response.json());
        failures = 0;
      } catch {
        failures += 1;
        live.hidden = true;
      }
      // A page never takes more than a fiftieth of the gateway's time, and asks less often in trouble.
      const wait = Math.max(every * 2 ** failures, 50 * (performance.now() - started));
      setTimeout(ask, Math.min(wait, 60 * seconds));
    };
    setTimeout(ask, every);
  }

  // Agencies are suggested while one is typed, unless the page brought them all.
  const agency = document.querySelector("[data-suggest]:not([data-complete])");
  if (agency) {
    const list = document.getElementById(agency.getAttribute("list"));
    let waiting = 0;
    agency.addEventListener("input", function () {
      clearTimeout(waiting);
      waiting = setTimeout(async function () {
        const typed = agency.value.trim();
        if (typed.length < 2) {
          return;
        }
        try {
          const response = await fetch(agency.dataset.suggest + "?q=" + encodeURIComponent(typed));
          if (response.ok) {
            const found = (await response.json()).agencies;
            list.replaceChildren(...found.map(function (label) {
              const option = document.createElement("option");
              option.value = label;
              return option;
            }));
          }
        } catch {
          // Suggestions are a comfort; the text itself still filters.
        }
      }, 200);
    });
  }

  // Choosing rows to send again: all at once, and no empty request.
  const selection = document.querySelector("[data-selection]");
  if (selection) {
    const boxes = Array.from(document.querySelectorAll('input[name="delivery"][form="' + selection.id + '"]'));
    const all = document.querySelector("[data-select-all]");
    const button = selection.querySelector("button");
    const update = function () {
      const chosen = boxes.filter(function (box) { return box.checked; }).length;
      button.disabled = chosen === 0;
      all.checked = chosen === boxes.length;
      all.indeterminate = chosen > 0 && chosen < boxes.length;
    };
    all.hidden = false;
    all.addEventListener("change", function () {
      for (const box of boxes) {
        box.checked = all.checked;
      }
      update();
    });
    for (const box of boxes) {
      box.addEventListener("change", update);
    }
    // Also after coming back, when the browser restores the boxes.
    window.addEventListener("pageshow", update);
    update();
  }

  // What takes a moment to come is not asked for twice by an impatient hand; the browser tells no page when it came.
  for (const link of document.querySelectorAll("a[data-once]")) {
    link.addEventListener("click", function (event) {
      if (link.getAttribute("aria-disabled") === "true") {
        event.preventDefault();
        return;
      }
      link.setAttribute("aria-disabled", "true");
      setTimeout(function () { link.removeAttribute("aria-disabled"); }, 5 * seconds);
    });
  }

  // What came of a form is read out and stands in view, wherever the page was.
  const said = document.querySelector("[data-said]");
  if (said) {
    said.focus();
  }

  // A form that does something is sent once; coming back makes it usable again.
  for (const form of document.querySelectorAll("form[data-once]")) {
    const buttons = form.querySelectorAll("button");
    form.addEventListener("submit", function () {
      for (const button of buttons) {
        button.disabled = true;
      }
    });
    window.addEventListener("pageshow", function () {
      for (const button of buttons) {
        button.disabled = false;
      }
    });
  }
})();
