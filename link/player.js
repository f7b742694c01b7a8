"use strict";
{
  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("data").textContent);
  const media = byId("media");
  // A media clock does not stop exactly at the border of a segment.
  const SLACK = 0.001;
  const TICKS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];
  const [PIXELS_A_TICK, PIXELS_A_SEGMENT] = [72, 16];

  const timeLine = byId("time-line");
  const inner = make(timeLine, "div", "inner");
  const { clockLabel, scale } = makeScale();
  // Every lane that has probabilities, with the element that shows their number.
  const curves = [];
  data.rows.forEach(makeRow);
  make(inner, "div", "playhead");
  const nowLists = makeNowLists();

  let now = 0;
  let zoom = 1;
  let shownSegment = -1;
  let frame = 0;

  // ---- making the time line ----

  function make(parent, tag, className = "", text = "") {
    const element = document.createElement(tag);
    element.className = className;
    element.textContent = text;
    parent.append(element);
    return element;
  }

  function makeScale() {
    const row = make(inner, "div", "row scale");
    const head = make(row, "div", "head");
    const track = make(row, "div", "track");
    track.tabIndex = 0;
    track.setAttribute("role", "slider");
    track.setAttribute("aria-label", "Position in the video");
    track.setAttribute("aria-valuemin", "0");
    track.setAttribute("aria-valuemax", data.length);
    return { clockLabel: make(head, "span"), scale: track };
  }

  function makeRow({ label, lanes, both }) {
    const row = make(inner, "div", "row");
    row.setAttribute("role", "group");
    row.setAttribute("aria-label", label);
    row.classList.toggle("without-events", lanes.every(({ events }) => events.length === 0));
    const head = make(row, "div", "head");
    make(head, "div", "label", label).dir = "auto";
    const words = make(head, "div", "words");
    const track = make(row, "div", "track");
    for (const { word, events, probabilities } of lanes) {
      const number = make(words, "div", "", word);
      const lane = make(track, "div", "lane");
      for (const [onset, offset] of events) {
        const button = make(lane, "button", word);
        button.type = "button";
        button.dataset.onset = onset;
        place(button, onset, offset);
        const overlaps = both.filter(([start, stop]) => start < offset && onset < stop);
        const name = [
          `${label}, ${word} ${span([onset, offset])}`,
          ...overlaps.map((overlap) => `heard and seen ${span(overlap)}`),
        ].join(", ");
        button.setAttribute("aria-label", name);
        button.title = name;
      }
      if (probabilities) curves.push({ word, lane, number, probabilities });
    }
    for (const [onset, offset] of both) place(make(track, "div", "both-mark both"), onset, offset);
  }

  function makeNowLists() {
    const words = data.rows.length ? data.rows[0].lanes.map(({ word }) => word) : [];
    if (words.length > 1) words.push("both");
    return words.map((word) => {
      make(byId("now"), "dt", "", word);
      return { word, list: make(byId("now"), "dd") };
    });
  }

  function place(element, onset, offset) {
    element.style.left = `${(100 * onset) / data.length}%`;
    element.style.width = `${(100 * (offset - onset)) / data.length}%`;
  }

  function clock(seconds) {
    const milliseconds = Math.round(1000 * seconds);
    const whole = Math.floor(milliseconds / 1000);
    const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
    const pad = (number, digits) => String(number).padStart(digits, "0");
    const fraction = pad(milliseconds % 1000, 3).replace(/0+$/, "");
    return (
      (hours ? `${hours}:${pad(minutes, 2)}` : minutes) +
      `:${pad(whole % 60, 2)}` +
      (fraction && `.${fraction}`)
    );
  }

  function span([onset, offset]) {
    return `from ${clock(onset)} to ${clock(offset)}`;
  }

  function drawTicks() {
    scale.querySelectorAll(".tick").forEach((tick) => tick.remove());
    const step = TICKS.find((each) => (each / data.length) * scale.clientWidth >= PIXELS_A_TICK);
    if (!step) return;
    for (let index = 0; index * step < data.length - step / 2; index++) {
      const tick = make(scale, "span", "tick", clock(index * step));
      tick.style.left = `${(100 * index * step) / data.length}%`;
    }
  }

  function drawCurves() {
    const width = data.length / data.step;
    for (const { lane, probabilities } of curves) {
      const picture = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
      const heights = probabilities.map((p) => (1 - p).toFixed(3));
      const steps = heights.map((height, i) => `V${height}H${Math.min(i + 1, width)}`);
      path.setAttribute("d", `M0 ${heights[0]}${steps.join("")}`);
      picture.setAttribute("class", "curve");
      picture.setAttribute("viewBox", `0 0 ${width} 1`);
      picture.setAttribute("preserveAspectRatio", "none");
      picture.setAttribute("aria-hidden", "true");
      picture.append(path);
      lane.append(picture);
    }
  }

  // ---- showing where we are ----

  function present() {
    // The end of the video belongs to the last segment.
    const moment = Math.min(now, data.length - 2 * SLACK) + SLACK;
    const labels = { heard: [], seen: [], both: [] };
    for (const { label, lanes } of data.rows) {
      const active = lanes.filter(({ events }) =>
        events.some(([onset, offset]) => onset <= moment && moment < offset),
      );
      for (const { word } of active) labels[word].push(label);
      if (active.length > 1) labels.both.push(label);
    }
    return nowLists.map(({ word, list }) => [word, list, labels[word].join(", ") || "nothing"]);
  }

  function show() {
    inner.style.setProperty("--now", now / data.length);
    clockLabel.textContent = clock(Math.floor(10 * now + SLACK) / 10);
    const segment = Math.floor((now + SLACK) / data.step);
    if (segment === shownSegment) return;
    shownSegment = segment;
    const lists = present();
    for (const [, list, text] of lists) list.textContent = text;
    scale.setAttribute("aria-valuenow", now.toFixed(3));
    scale.setAttribute("aria-valuetext", sentence(lists));
    if (inner.classList.contains("probable")) showNumbers();
  }

  function showNumbers() {
    for (const { word, number, probabilities } of curves) {
      const p = probabilities[Math.min(shownSegment, probabilities.length - 1)];
      number.textContent = `${word} ${p.toFixed(2)}`;
    }
  }

  function sentence(lists) {
    return [clock(now), ...lists.map(([word, , text]) => `${word}: ${text}`)].join("; ");
  }

  function keepInView() {
    if (!isInView()) timeLine.scrollLeft = playheadX() - visibleWidth() / 4;
  }

  function isInView() {
    const position = playheadX() - timeLine.scrollLeft;
    return position >= 0 && position <= visibleWidth();
  }

  function playheadX() {
    return (now / data.length) * scale.clientWidth;
  }

  function visibleWidth() {
    return timeLine.clientWidth - (inner.clientWidth - scale.clientWidth);
  }

  // ---- going elsewhere ----

  function seek(seconds) {
    now = Math.min(Math.max(seconds, 0), data.length);
    if (media && !media.error) media.currentTime = now;
    show();
    keepInView();
    // The scale speaks for itself while it has the focus.
    if (document.activeElement !== scale) byId("said").textContent = sentence(present());
  }

  function seekToPointer(event) {
    const box = scale.getBoundingClientRect();
    seek(((event.clientX - box.left) / box.width) * data.length);
  }

  function step(segments) {
    const round = segments > 0 ? Math.floor : Math.ceil;
    const from = round((now + Math.sign(segments) * SLACK) / data.step);
    seek((from + segments) * data.step);
  }

  timeLine.addEventListener("click", (event) => {
    const { onset } = event.target.dataset;
    if (onset !== undefined) seek(Number(onset));
    else if (event.target.closest(".track")) seekToPointer(event);
  });
  scale.addEventListener("pointerdown", (event) => scale.setPointerCapture(event.pointerId));
  scale.addEventListener("pointermove", (event) => {
    if (scale.hasPointerCapture(event.pointerId)) seekToPointer(event);
  });

  document.addEventListener("keydown", (event) => {
    const onScale = event.target === scale;
    const keys = {
      ArrowLeft: () => step(-1),
      ArrowRight: () => step(1),
      ...(onScale && {
        ArrowDown: () => step(-1),
        ArrowUp: () => step(1),
        PageDown: () => step(-10),
        PageUp: () => step(10),
        Home: () => seek(0),
        End: () => seek(data.length),
        " ": playOrPause,
      }),
    };
    const modified = event.ctrlKey || event.altKey || event.metaKey || event.shiftKey;
    // The video's own controls, and a table that can be scrolled, have keys of their own.
    const elsewhere = event.target === media || event.target === byId("table");
    if (modified || elsewhere || !Object.hasOwn(keys, event.key)) return;
    event.preventDefault();
    keys[event.key]();
  });

  // ---- the video ----

  function playOrPause() {
    if (!media) return;
    if (media.paused) media.play().catch(tellProblem);
    else media.pause();
  }

  function follow() {
    now = Math.min(media.currentTime, data.length);
    show();
  }

  function run() {
    cancelAnimationFrame(frame);
    // Somebody who has scrolled away from the playhead wants to look elsewhere.
    const isWatched = isInView();
    follow();
    if (isWatched) keepInView();
    if (!media.paused) frame = requestAnimationFrame(run);
  }

  function tellProblem() {
    byId("problem").textContent =
      "This file cannot be played: it was moved, or the browser does not know its format. " +
      "The time line works without it.";
    byId("problem").hidden = false;
  }

  if (media) {
    media.addEventListener("play", run);
    media.addEventListener("timeupdate", follow);
    media.addEventListener("error", tellProblem);
    if (media.error) tellProblem();
  }

  // ---- probabilities and zoom ----

  byId("probabilities").hidden = curves.length === 0;
  byId("probabilities").addEventListener("click", ({ currentTarget }) => {
    const shown = inner.classList.toggle("probable");
    currentTarget.setAttribute("aria-pressed", shown);
    if (shown && !inner.querySelector(".curve")) drawCurves();
    if (shown) showNumbers();
    else for (const { word, number } of curves) number.textContent = word;
  });

  function zoomBy(factor) {
    zoom = Math.min(Math.max(zoom * factor, 1), greatestZoom());
    inner.style.setProperty("--zoom", zoom);
    fit();
    timeLine.scrollLeft = playheadX() - visibleWidth() / 2;
  }

  function greatestZoom() {
    const segments = data.length / data.step;
    return Math.max(1, (PIXELS_A_SEGMENT * segments * zoom) / scale.clientWidth);
  }

  function fit() {
    byId("zoom").hidden = greatestZoom() === 1;
    byId("out").disabled = zoom === 1;
    byId("in").disabled = zoom >= greatestZoom();
    drawTicks();
  }

  byId("in").addEventListener("click", () => zoomBy(2));
  byId("out").addEventListener("click", () => zoomBy(1 / 2));

  byId("player").hidden = false;
  new ResizeObserver(fit).observe(timeLine);
  show();
}
