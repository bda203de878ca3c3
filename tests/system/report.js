/* Opens a page in headless Chromium and prints what it sees as JSON. Not a test itself: report runs
   it. Arguments: the file, light or dark, the width of the window. */
"use strict";
const fs = require("fs");
const {chromium} = require("playwright-core");

/* In the page. Axes and grids are grey: what has a colour is data. */
function look() {
  const coloured = (canvas) => {
    const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let n = 0;
    for (let i = 0; i < data.length; i += 4) {
      const part = [data[i], data[i + 1], data[i + 2]];
      if (data[i + 3] > 100 && Math.max(...part) - Math.min(...part) > 50) n++;
    }
    return n;
  };
  const plots = {};
  for (const plot of document.querySelectorAll(".plot")) {
    const canvas = plot.querySelector("canvas"), svg = plot.querySelector("svg");
    const note = plot.querySelector(".none");
    plots[plot.id] = {
      coloured: canvas ? coloured(canvas) : null,
      circles: svg ? svg.querySelectorAll("circle").length : null,
      fills: svg ? new Set([...svg.querySelectorAll("circle")].map((c) => c.getAttribute("fill"))).size : null,
      edges: svg ? (svg.querySelector(".edge").getAttribute("d").match(/M/g) || []).length : null,
      note: note ? note.textContent : null,
      label: document.getElementById(plot.getAttribute("aria-labelledby")).textContent,
      readout: (plot.querySelector(".readout") || {}).textContent,
    };
  }
  return {
    plots,
    title: document.title,
    command: document.querySelector(".command").textContent,
    text: document.body.innerText,
    keys: document.querySelectorAll("#keys input").length,
    choices: document.querySelectorAll("#setting option").length,
    background: getComputedStyle(document.body).backgroundColor,
    width: document.scrollingElement.scrollWidth,
    scripts: document.querySelectorAll("script").length,
    images: document.querySelectorAll("img, b b, h1 *").length,
    injected: window.injected === true,
    classes: JSON.parse(document.getElementById("meta").textContent).settings[0].classes,
  };
}

async function visit(page, file) {
  const seen = {console: [], requests: []};
  page.on("console", (m) => seen.console.push(m.text()));
  page.on("pageerror", (e) => seen.console.push(e.stack));
  page.on("dialog", (d) => { seen.console.push("dialog: " + d.message()); d.dismiss(); });
  page.on("request", (r) => seen.requests.push(r.url()));
  await page.goto("file://" + encodeURI(file));
  await page.waitForFunction(() => document.querySelector("#topology svg, #topology .none"));
  Object.assign(seen, await page.evaluate(look));
  if (seen.choices > 1) {
    await page.selectOption("#setting", "1");
    await page.uncheck("#keys label:nth-child(1) input");
    seen.other = await page.evaluate(look);
  }
  await page.evaluate(() => document.querySelectorAll("details").forEach((d) => { d.open = true; }));
  const saving = page.waitForEvent("download");
  await page.click("#csv-evaluations >> xpath=preceding-sibling::button");
  const download = await saving;
  seen.saved = {name: download.suggestedFilename(), text: fs.readFileSync(await download.path(), "utf8")};
  seen.evaluations = await page.textContent("#csv-evaluations");
  return seen;
}

(async () => {
  const [file, scheme, width] = process.argv.slice(2);
  const browser = await chromium.launch({executablePath: "/usr/bin/chromium",
    args: ["--no-sandbox"]}); /* which root and many containers do not allow */
  try {
    const page = await browser.newPage({colorScheme: scheme, viewport: {width: Number(width), height: 900}});
    console.log(JSON.stringify(await visit(page, file)));
  } finally {
    await browser.close();
  }
})().catch((e) => { console.error(e.stack); process.exit(1); });
