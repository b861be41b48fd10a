// Draws each figure from the JSON beside it: when it comes near the screen, and the rest of them before printing.
"use strict";
(() => {
  const DASHES = ["solid", "dot", "dashdot"];
  const LEVEL_DASHES = ["7px,4px", "12px,4px", "10px,3px,2px,3px"]; // short enough for the legend
  const MARKERS = ["circle", "square", "diamond", "triangle-up", "x", "triangle-down", "star"];
  const MARKED = 30; // points of a line, above which its markers would run into one another
  const PAPER = 660; // CSS pixels between the margins of A4 and of US Letter
  const LETTER = 7; // CSS pixels of a letter, about

  const root = document.documentElement;
  const figures = () => [...document.querySelectorAll(".figure")]; // a live page gets new ones
  const drawn = new Set();

  // plotly is unpacked when the first figure is drawn; the page's security policy knows its digest.
  function unpack() {
    if (window.Plotly) return;
    const packed = document.querySelector("script[type='application/deflate']");
    const data = Uint8Array.from(atob(packed.textContent), (letter) => letter.charCodeAt(0));
    const script = document.createElement("script");
    script.textContent = new TextDecoder().decode(inflate(data, Number(packed.dataset.size)));
    document.head.append(script);
  }

  const theme = () => {
    const style = getComputedStyle(root);
    return (name) => style.getPropertyValue(`--${name}`).trim();
  };

  // plotly reads its texts as a kind of HTML.
  const plain = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

  function wrapped(text, letters) {
    const rows = [""];
    const words = text.split(" ").flatMap((word) => word.match(new RegExp(`.{1,${letters}}`, "gsu")) ?? []);
    for (const word of words) {
      const longer = `${rows[rows.length - 1]} ${word}`.trim();
      if (longer.length <= letters) rows[rows.length - 1] = longer;
      else rows.push(word);
    }
    return rows.filter(Boolean).map(plain).join("<br>");
  }

  function translucent(hex) {
    const [red, green, blue] = [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
    return `rgba(${red}, ${green}, ${blue}, 0.18)`;
  }

  function number(value) {
    const precision = Math.abs(value) < 999.5 ? { maximumSignificantDigits: 3 } : { maximumFractionDigits: 0 };
    return value.toLocaleString("en", precision).replace("-", "−");
  }

  // One polygon for each stretch without a gap, because a fill from line to line would bridge the gaps.
  function outline(line) {
    const x = [], y = [];
    let start = 0;
    const whole = (i) => [line.x[i], line.low[i], line.high[i]].every((value) => value !== null);
    for (let i = 0; i <= line.x.length; i += 1) {
      if (i < line.x.length && whole(i)) continue;
      if (i > start) {
        const there = line.x.slice(start, i);
        x.push(...there, ...there.slice().reverse(), there[0], null);
        y.push(...line.high.slice(start, i), ...line.low.slice(start, i).reverse(), line.high[start], null);
      }
      start = i + 1;
    }
    return { x, y };
  }

  function band(line, i, colour) {
    return {
      ...outline(line), type: "scatter", mode: "lines", fill: "toself", fillcolor: translucent(colour),
      line: { color: translucent(colour), width: 1 }, // a stretch of one point is seen as well
      legendgroup: `line ${i}`, showlegend: false, hoverinfo: "skip",
    };
  }

  function curve(line, i, colour, letters) {
    const said = line.y.map((y, k) => {
      if (y === null) return "";
      const between = line.low.length && line.low[k] !== null && line.high[k] !== null;
      return number(y) + (between ? ` (${number(line.low[k])} to ${number(line.high[k])})` : "");
    });
    return {
      type: "scatter", x: line.x, y: line.y, name: wrapped(line.name, letters), legendgroup: `line ${i}`,
      mode: line.dots ? "markers" : line.x.length > MARKED ? "lines" : "lines+markers", connectgaps: false,
      line: { color: colour, width: 2.25, dash: DASHES[line.dash % DASHES.length] },
      marker: line.dots
        ? { color: colour, size: 5, opacity: 0.6 }
        : { color: colour, size: 6, symbol: MARKERS[line.colour % MARKERS.length] },
      text: said, hovertemplate: "%{text}",
    };
  }

  function level(entry, i, colour, across, letters) {
    return {
      type: "scatter", x: across, y: [entry.y, entry.y], name: wrapped(entry.name, letters), legendgroup: `level ${i}`,
      mode: "lines", line: { color: colour, width: 1.75, dash: LEVEL_DASHES[entry.dash % LEVEL_DASHES.length] },
      text: across.map(() => (entry.y === null ? "" : number(entry.y))), hovertemplate: "%{text}",
    };
  }

  // Lines from bottom to top, on an axis of their own, so that they do not stretch that of the curves.
  function moments(entry, i, colour, letters) {
    const each = (values) => entry.x.flatMap((_, k) => values(k));
    return {
      type: "scatter", x: each((k) => [entry.x[k], entry.x[k], null]), y: each(() => [0, 1, null]), yaxis: "y2",
      name: wrapped(entry.name, letters), legendgroup: `marks ${i}`, mode: "lines", connectgaps: false,
      line: { color: colour, width: 1, dash: "dot" },
      text: each((k) => [wrapped(entry.texts[k], 60), "", ""]), hovertemplate: "%{text}",
    };
  }

  function traces(data, letters) {
    const paint = theme();
    const colour = (entry) => (entry.colour === null ? paint("soft") : paint(`line-${entry.colour}`));
    const all = data.lines.flatMap((line) => line.x).filter((x) => x !== null);
    const across = all.length ? [Math.min(...all), Math.max(...all)] : [0, 1];
    return [
      ...data.lines.flatMap((line, i) => (line.low.length ? [band(line, i, colour(line))] : [])),
      ...data.lines.map((line, i) => curve(line, i, colour(line), letters)),
      ...data.levels.map((entry, i) => level(entry, i, colour(entry), across, letters)),
      ...data.marks.map((entry, i) => moments(entry, i, colour(entry), letters)),
    ];
  }

  function layout(data, width, height, letters) {
    const paint = theme();
    const touch = matchMedia("(pointer: coarse)").matches; // a finger on the figure scrolls the page
    const axis = (title, room) => ({
      title: { text: wrapped(title, room), standoff: 12, font: { size: 13 } }, automargin: true, fixedrange: touch,
      gridcolor: paint("rule"), linecolor: paint("soft"), zeroline: false, ticks: "",
    });
    return {
      width, height, margin: { l: 12, r: 12, t: 8, b: 12 }, showlegend: data.legend, uirevision: "kept",
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: paint("ink") },
      xaxis: axis(data.x, letters), yaxis: axis(data.y, 34),
      yaxis2: { overlaying: "y", range: [0, 1], visible: false, fixedrange: true },
      legend: {
        orientation: "h", x: 0, y: 1.03, yanchor: "bottom",
        traceorder: "normal", groupclick: "togglegroup", itemwidth: 36, maxheight: height,
      },
      hovermode: touch ? "closest" : "x unified", dragmode: touch ? false : "zoom",
      hoverlabel: { bgcolor: paint("card"), bordercolor: paint("rule"), font: { color: paint("ink") }, namelength: -1 },
    };
  }

  // The legend grows upwards by rows; the curves below it keep their height.
  function rowsOfLegend(data, width, letters) {
    if (!data.legend) return 0;
    const names = [...data.lines, ...data.levels, ...data.marks].map((entry) => wrapped(entry.name, letters).split("<br>"));
    const widest = Math.max(1, ...names.flat().map((row) => row.length)) * LETTER + 50;
    const tallest = Math.max(1, ...names.map((rows) => rows.length));
    return Math.ceil(names.length / Math.max(1, Math.floor(width / widest))) * tallest;
  }

  const dataOf = (figure) => JSON.parse(figure.parentElement.querySelector("script").textContent);

  function draw(figure) {
    unpack();
    const data = dataOf(figure);
    const width = "printing" in root.dataset ? PAPER : figure.clientWidth;
    const letters = Math.max(12, Math.floor((width - 80) / LETTER));
    const height = Math.round(Math.min(400, 240 + width / 5)) + 20 * rowsOfLegend(data, width, letters);
    figure.style.height = `${height}px`;
    Plotly.react(figure, traces(data, letters), layout(data, width, height, letters), {
      displayModeBar: false, showTips: false, doubleClick: "reset", typesetMath: false,
    });
    if (drawn.has(figure)) return;
    drawn.add(figure);
    byKeyboard(figure);
    figure.on("plotly_afterplot", () => byKeyboard(figure)); // which draws the legend anew
  }

  // plotly draws a legend for mice and fingers; Tab, Enter, Space and who listens find its names as boxes to tick.
  function byKeyboard(figure) {
    const data = dataOf(figure);
    figure.querySelector(".main-svg").setAttribute("aria-hidden", "true"); // ticks and lines: the label says it in words
    const listed = figure._fullData.filter((trace) => trace.showlegend && trace.visible); // a line without points is not
    figure.querySelectorAll(".legendtoggle").forEach((box, k) => {
      const [kind, i] = listed[k].legendgroup.split(" ");
      const { name } = { line: data.lines, level: data.levels, marks: data.marks }[kind][i];
      const said = { role: "checkbox", tabindex: 0, "aria-label": name, "aria-checked": listed[k].visible === true };
      Object.entries(said).forEach((attribute) => box.setAttribute(...attribute));
      box.onkeydown = (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        ["mousedown", "mouseup"].forEach((type) => box.dispatchEvent(new MouseEvent(type, { bubbles: true })));
      };
    });
  }

  const again = () => [...drawn].forEach(draw);
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      near.unobserve(entry.target);
      if (!drawn.has(entry.target)) draw(entry.target);
    }
  }, { rootMargin: "600px 0px" });
  const watch = () => {
    drawn.forEach((figure) => { if (!figure.isConnected) drawn.delete(figure); });
    figures().forEach((figure) => { if (!drawn.has(figure)) near.observe(figure); });
  };
  watch();
  document.addEventListener("replaced", watch);
  document.addEventListener("renewed", (event) => { if (drawn.has(event.target)) draw(event.target); });

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  let width = root.clientWidth;
  let waiting = 0;
  addEventListener("resize", () => {
    if (root.clientWidth === width) return; // a phone's address bar came or went
    width = root.clientWidth;
    clearTimeout(waiting);
    waiting = setTimeout(again, 150);
  });

  const opened = [];
  addEventListener("beforeprint", () => {
    root.dataset.printing = "";
    figures().forEach(draw);
    document.querySelectorAll("details:not([open])").forEach((details) => {
      details.open = true;
      opened.push(details);
    });
  });
  addEventListener("afterprint", () => {
    delete root.dataset.printing;
    opened.splice(0).forEach((details) => { details.open = false; });
    again();
  });
})();
