"use strict";
/* The page of `rtt inspect`. Reading order: data, state (the address), responses, one response, training, alarms, keys.
   Text from data is only ever set as text. */

(() => {
  // -------------------------------------------------------------------------------------------------------- helpers

  const $ = (id) => document.getElementById(id);

  /** An element: properties by name, `data` for data attributes, children as nodes or text. */
  function make(tag, properties = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (name === "data") Object.assign(element.dataset, value);
      else if (name.startsWith("aria") || name === "role" || name === "scope") element.setAttribute(name.replace(/^aria(?=[A-Z])/, "aria-").toLowerCase(), value);
      else element[name] = value;
    }
    element.append(...children.filter((child) => child !== null));
    return element;
  }

  const number = (value, digits = 3) => value === null || value === undefined ? "–" : Number(value).toFixed(digits).replace(/^-(0\.?0*)$/, "$1");
  const signed = (value) => value === null || value === undefined ? "–" : (value > 0 ? "+" : value < 0 ? "−" : "") + Math.abs(value).toFixed(3);
  const counted = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
  const SIGN = { 1: "✓", "-1": "✗", 0: "?" };
  const WORD = { 1: "satisfied", "-1": "violated", 0: "undetermined" };
  const CLASS = { 1: "yes", "-1": "no", 0: "open" };

  // ----------------------------------------------------------------------------------------------------------- data

  async function unpack(id) {
    let block = $(id);
    if (!block && document.readyState === "loading") {
      await new Promise((done) => document.addEventListener("DOMContentLoaded", done, { once: true }));
      block = $(id);
    }
    if (!block) throw new Error(`the block ${id} is missing: the file was cut`);
    const bytes = Uint8Array.from(atob(block.textContent), (character) => character.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  }

  let page; // all but the records
  let size = 0; // how many records there are
  const firsts = []; // the first record of each chunk
  const chunks = new Map(); // the chunks that were used last, as promises
  const groups = new Map(); // "run step group" -> records
  const visits = new Map(); // "run task" -> step -> records

  const groupKey = (r) => `${page.index.run[r]} ${page.index.step[r]} ${page.index.group[r]}`;
  const visitKey = (r) => `${page.index.run[r]} ${page.index.task[r]}`;

  async function load() {
    page = await unpack("index");
    size = page.index.step.length;
    let first = 0;
    for (const count of page.chunks) { firsts.push(first); first += count; }
    for (let r = 0; r < size; r++) {
      const group = groupKey(r), visit = visitKey(r), step = page.index.step[r];
      if (!groups.has(group)) groups.set(group, []);
      groups.get(group).push(r);
      if (!visits.has(visit)) visits.set(visit, new Map());
      const steps = visits.get(visit);
      if (!steps.has(step)) steps.set(step, []);
      steps.get(step).push(r);
    }
  }

  async function record(r) {
    let low = 0, high = firsts.length - 1;
    while (low < high) { const middle = (low + high + 1) >> 1; if (firsts[middle] <= r) low = middle; else high = middle - 1; }
    if (!chunks.has(low)) {
      if (chunks.size >= 12) chunks.delete(chunks.keys().next().value);
      chunks.set(low, unpack(`chunk-${low}`));
    }
    return (await chunks.get(low))[r - firsts[low]];
  }

  // ---------------------------------------------------------------------------------------------- state: the address

  const MODES = {
    relevance: ["Relevance", "how much of the verdict hangs on a token, from 0 to 1"],
    reward: ["Token reward", "verdict times relevance"],
    token: ["Token advantage", "the reward against what it is normalised over, before lambda"],
    total: ["Total advantage", "what the loss was given: the response's advantage and the token's"],
  };
  const DEFAULTS = { v: "responses", r: "", c: "", m: "relevance", g: "", q: "", run: "", s: "", k: "", o: "", sort: "" };
  let state = { ...DEFAULTS };

  function readAddress() {
    state = { ...DEFAULTS, v: page.start };
    for (const [name, value] of new URLSearchParams(location.hash.slice(1))) if (name in DEFAULTS) state[name] = value;
    if (!["responses", "training", "alarms"].includes(state.v)) state.v = "responses";
    if (!(state.m in MODES)) state.m = "relevance";
  }

  function address(changes) {
    const next = { ...state, ...changes }, kept = new URLSearchParams();
    for (const [name, value] of Object.entries(next)) if (name === "v" || String(value) !== DEFAULTS[name]) kept.set(name, value);
    return `#${kept}`;
  }

  /** Go to another view of the page; `quietly` keeps it out of the browser's history. */
  function go(changes, quietly = false) {
    const hash = address(changes);
    if (hash === location.hash) return;
    if (quietly) location.replace(hash); else location.hash = hash;
  }

  // ------------------------------------------------------------------------------------------------------ responses

  const ROWS = 100; // of the list at a time
  let found = []; // the records that pass the filters, sorted
  let foundFor = null; // the filters that they passed
  let place = 0; // the first row shown

  function options(select, values, chosen, any) {
    const wanted = [["", any], ...values];
    if (select.options.length !== wanted.length) select.replaceChildren(...wanted.map(([value, text]) => make("option", { value, textContent: text })));
    select.value = chosen;
  }

  function fillFilters() {
    const { step } = page.index;
    options($("run"), page.runs.map((one, i) => [String(i), one.name]), state.run, "all");
    $("run-label").hidden = page.runs.length < 2;
    const steps = [...new Set(step)].sort((a, b) => a - b);
    options($("step"), steps.map((s) => [String(s), s === 0 ? "not in training" : String(s)]), state.s, "all");
    const kinds = [...new Set(page.tasks.flatMap((one) => one.criteria.map((criterion) => criterion.kind)))].sort();
    options($("kind"), kinds.map((kind) => [kind, kind]), state.k, "any");
    $("verdict").value = state.o;
    $("sort").value = state.sort;
    if (document.activeElement !== $("search")) $("search").value = state.q;
  }

  function find() {
    const key = JSON.stringify([state.q, state.run, state.s, state.k, state.o, state.sort]);
    if (key === foundFor) return;
    foundFor = key;
    place = 0;
    const { run, step, task, outcomes } = page.index;
    const words = state.q.toLowerCase();
    const matches = page.tasks.map((one) => !words || one.id.toLowerCase().includes(words) || one.messages.some((message) => message.content.toLowerCase().includes(words)));
    found = [];
    for (let r = 0; r < size; r++) {
      if (!matches[task[r]] || (state.run !== "" && run[r] !== Number(state.run)) || (state.s !== "" && step[r] !== Number(state.s))) continue;
      if (state.k || state.o) {
        const criteria = page.tasks[task[r]].criteria;
        if (!criteria.some((criterion, k) => (!state.k || criterion.kind === state.k) && (!state.o || outcomes[r][k] === state.o))) continue;
      }
      found.push(r);
    }
    if (state.sort) {
      const down = !state.sort.startsWith("-"), column = page.index[state.sort.replace("-", "")] || [];
      const value = (r) => column[r] === null || column[r] === undefined ? -Infinity : column[r];
      found.sort((a, b) => (down ? value(b) - value(a) : value(a) - value(b)) || a - b);
    }
  }

  function marks(r) {
    return [...page.index.outcomes[r]].map((sign) => {
      const outcome = { "+": 1, "-": -1, 0: 0 }[sign];
      return make("span", { className: CLASS[outcome], textContent: SIGN[outcome], title: WORD[outcome] });
    });
  }

  function showList() {
    const current = Number(state.r);
    const at = found.indexOf(current);
    if (at >= 0 && (at < place || at >= place + ROWS)) place = Math.floor(at / ROWS) * ROWS;
    $("count").textContent = found.length === size ? counted(size, "response") : `${counted(found.length, "response")} of ${size.toLocaleString("en")}`;
    $("list").start = place + 1;
    $("list").replaceChildren(...found.slice(place, place + ROWS).map((r) => {
      const task = page.tasks[page.index.task[r]];
      const facts = [make("span", {}, ...marks(r)), make("span", { textContent: `reward ${number(page.index.reward[r], 2)}` }), make("span", { textContent: `${page.index.tokens[r]} tokens` })];
      if (page.index.step[r]) facts.unshift(make("span", { textContent: `step ${page.index.step[r]}` }));
      const link = make("a", { href: address({ r: String(r), c: "" }) }, make("span", { className: "name", textContent: task.id }), make("span", { className: "facts" }, ...facts));
      if (r === current) link.setAttribute("aria-current", "true");
      return make("li", {}, link);
    }));
    const pages = Math.ceil(found.length / ROWS);
    document.querySelector(".pages").hidden = pages < 2;
    $("page-place").textContent = `${Math.floor(place / ROWS) + 1} of ${pages}`;
    $("page-back").disabled = place === 0;
    $("page-on").disabled = place + ROWS >= found.length;
    const shown = $("list").querySelector("[aria-current]");
    if (shown) {
      const list = $("list"), top = shown.offsetTop - list.offsetTop;
      if (top < list.scrollTop || top + shown.offsetHeight > list.scrollTop + list.clientHeight) list.scrollTop = top - list.clientHeight / 3;
    }
  }

  // ---------------------------------------------------------------------------------------------------- one response

  const unwanted = (criterion) => criterion.weight < 0;
  const signOf = (criterion, verdict) => unwanted(criterion) ? -verdict.outcome : verdict.outcome;

  /** What each token is coloured by: values in [-scale, scale], and the scale of this response alone. */
  function values(one, task, mode, k) {
    const count = one.ends.length, chosen = k === null ? task.criteria.map((_, i) => i) : [k];
    let out = new Float64Array(count);
    if (mode === "relevance") {
      const polarity = new Map(chosen.map((c) => [c, polarities(one, one.verdicts[c])]));
      for (const c of chosen) {
        const outcome = one.verdicts[c].outcome;
        for (let t = 0; t < count; t++) {
          const sign = polarity.get(c)[t] || outcome || 1;
          if (one.relevance[c][t] > Math.abs(out[t])) out[t] = sign * one.relevance[c][t];
        }
      }
      return { values: out, scale: 1 };
    }
    if (mode === "reward") {
      for (const c of chosen) {
        const sign = signOf(task.criteria[c], one.verdicts[c]);
        for (let t = 0; t < count; t++) out[t] += sign * one.relevance[c][t];
      }
    } else if (mode === "token") {
      out = Float64Array.from(k !== null && one.shares ? one.shares[k] : one.token_advantages, (value) => value ?? 0);
    } else {
      out = Float64Array.from(one.advantages, (value) => value ?? 0);
    }
    return { values: out, scale: out.reduce((most, value) => Math.max(most, Math.abs(value)), mode === "reward" ? 1 : 0) };
  }

  /** For each token: 1 where evidence supports, -1 where it violates, else 0. */
  function polarities(one, verdict) {
    const out = new Int8Array(one.ends.length);
    let t = 0;
    for (const [start, end, support] of verdict.evidence) {
      while (t > 0 && one.ends[t - 1] > start) t--;
      while (t < out.length && one.ends[t] <= start) t++;
      for (let i = t; i < out.length && (i ? one.ends[i - 1] : 0) < end; i++) if (one.ends[i] > (i ? one.ends[i - 1] : 0)) out[i] = support ? 1 : -1;
    }
    return out;
  }

  /** The response's tokens, coloured. Their text together is the response, exactly. */
  function paint(one, task, coloured, most, label) {
    const deepest = Number(getComputedStyle(document.documentElement).getPropertyValue("--deepest"));
    const box = make("div", { className: "response text", tabIndex: 0, role: "group", ariaLabel: label });
    if (one.text && !one.ends.some((end) => end > 0)) {
      box.append(one.text); // no token is known to have given any of it
      return box;
    }
    const colour = { 1: "var(--plus)", "-1": "var(--minus)" };
    const nodes = document.createDocumentFragment();
    let start = 0;
    one.ends.forEach((end, t) => {
      const piece = document.createElement("i");
      const value = coloured[t], share = most > 0 ? Math.min(1, Math.abs(value) / most) : 0;
      piece.textContent = one.text.slice(start, end);
      piece.dataset.t = t;
      const classes = [];
      if (end === start) classes.push("nothing");
      if (share > 0.02) {
        classes.push(value > 0 ? "plus" : "minus");
        if (share > 0.5) classes.push("strong");
        piece.style.backgroundColor = `rgb(${colour[Math.sign(value)]} / ${(share * deepest).toFixed(3)})`;
      }
      if (classes.length) piece.className = classes.join(" ");
      nodes.append(piece);
      start = end;
    });
    box.append(nodes);
    const tell = (event) => { const t = event.target.dataset && event.target.dataset.t; if (t !== undefined) showLedger(box, one, task, Number(t)); };
    box.addEventListener("mouseover", tell);
    box.addEventListener("click", tell);
    box.addEventListener("mouseleave", hideLedger);
    box.addEventListener("blur", hideLedger);
    box.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!by || !one.ends.length) return;
      event.preventDefault();
      const at = box.querySelector("i.at"), next = at ? Number(at.dataset.t) + by : 0;
      showLedger(box, one, task, Math.max(0, Math.min(one.ends.length - 1, next)));
    });
    return box;
  }

  function hideLedger() {
    const ledger = $("ledger");
    if (ledger) ledger.remove();
    for (const at of document.querySelectorAll("i.at")) at.classList.remove("at");
  }

  /** What a token got, from which criterion and from the response. */
  function showLedger(box, one, task, t) {
    hideLedger();
    const piece = box.querySelector(`i[data-t="${t}"]`);
    if (!piece) return;
    piece.classList.add("at");
    const cell = (text, className = "n") => make("td", { className, textContent: text });
    const head = make("tr", {}, ...["criterion", "", "relevance", "reward", "advantage"].map((name, i) => make("th", { textContent: name, className: i > 1 ? "n" : "", scope: "col" })));
    const rows = task.criteria.map((criterion, k) => {
      const verdict = one.verdicts[k], relevance = one.relevance[k][t];
      return make("tr", {}, make("td", {}, make("span", { className: "text", textContent: criterion.text })),
        make("td", { className: CLASS[verdict.outcome], textContent: SIGN[verdict.outcome], title: WORD[verdict.outcome] }),
        cell(number(relevance)), cell(signed(signOf(criterion, verdict) * relevance)), cell(one.shares ? signed(one.shares[k][t]) : "–"));
    });
    const sums = [];
    const sum = (name, value) => sums.push(make("tr", {}, make("td", { colSpan: 4, textContent: name }), cell(value)));
    if (one.weight !== null || one.advantages.some(Boolean)) {
      const shares = one.shares ? one.shares.reduce((total, row) => total + row[t], 0) : null;
      const token = one.token_advantages[t], weight = one.weight;
      if (shares !== null && Math.abs(shares - token) > 1e-2 * Math.max(1, Math.abs(token))) sum("bounded by", signed(token - shares));
      sum("token advantage", signed(token));
      const mixed = one.combine === "mix";
      if (weight !== null) sum(`times lambda = ${weight}`, signed(weight * token));
      sum(mixed ? `response advantage, times ${number(1 - weight, 2)}` : "response advantage", signed((mixed ? 1 - weight : 1) * one.response_advantage));
      sum("total advantage", signed(one.advantages[t]));
    }
    const id = one.token_ids[t], start = t ? one.ends[t - 1] : 0, text = one.text.slice(start, one.ends[t]);
    const title = text ? `“${text.replace(/\n/g, "⏎")}”` : "no text of its own";
    const facts = id < 0 ? `word ${t + 1} of ${one.ends.length}` : `token ${t + 1} of ${one.ends.length}, id ${id}`;
    const ledger = make("aside", { id: "ledger", role: "status", ariaLabel: "Ledger of the token" },
      make("h3", { dir: "auto", textContent: title }), make("div", { className: "facts-line", textContent: facts }),
      make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows), make("tfoot", {}, ...sums)));
    document.body.append(ledger);
    if (piece.getBoundingClientRect().bottom > innerHeight - ledger.offsetHeight - 24) ledger.className = "high"; // not over the token
  }

  function legend(mode, scale, one) {
    const most = number(scale, scale >= 10 ? 1 : 2), words = MODES[mode][1];
    const ramp = (kind) => make("span", { className: `ramp ${kind}` });
    const out = make("div", { className: "legend" });
    if (mode === "relevance") out.append(make("span", {}, "supports, or satisfied ", ramp("plus"), " 1"), make("span", {}, "violates, or violated (dashed) ", ramp("minus"), " 1"));
    else out.append(make("span", {}, `−${most} (dashed) `, ramp("both"), ` +${most}`));
    out.append(make("span", { textContent: words }));
    if (one.token_ids.length && one.token_ids[0] < 0) out.append(make("span", { textContent: "words stand for tokens, which were not recorded" }));
    return out;
  }

  function rubricTable(one, task, k) {
    const rows = task.criteria.map((criterion, i) => {
      const verdict = one.verdicts[i];
      const pressed = i === k;
      const choose = make("button", { type: "button", dir: "auto", textContent: criterion.text, ariaPressed: String(pressed), title: "Colour by this criterion (c)" });
      choose.addEventListener("click", () => go({ c: pressed ? "" : String(i) }));
      const word = verdict.failed ? "could not be checked" : WORD[verdict.outcome];
      return make("tr", {}, make("td", { className: CLASS[verdict.outcome], textContent: `${SIGN[verdict.outcome]} ${word}` }), make("td", {}, choose),
        make("td", { className: "reason", textContent: verdict.reason }), make("td", { textContent: criterion.kind }), make("td", { className: "n", textContent: String(criterion.weight) }));
    });
    const heads = ["verdict", "criterion", "reason", "decided by", "weight"];
    return make("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: "Rubric" }, make("table", { className: "rubric" },
      make("thead", {}, make("tr", {}, ...heads.map((name, i) => make("th", { textContent: name, className: i === 4 ? "n" : "", scope: "col" })))), make("tbody", {}, ...rows)));
  }

  function toolbar(r, task, k) {
    const modes = make("fieldset", {}, make("legend", { textContent: "Colour" }));
    for (const [mode, [name, words]] of Object.entries(MODES)) {
      const button = make("button", { type: "button", textContent: name, title: words, ariaPressed: String(mode === state.m), data: { mode } });
      button.addEventListener("click", () => go({ m: mode }));
      modes.append(button);
    }
    const criteria = make("select", { id: "criterion" }, make("option", { value: "", textContent: "all criteria" }), ...task.criteria.map((criterion, i) => make("option", { value: String(i), textContent: `${criterion.id}: ${criterion.text.slice(0, 70)}` })));
    criteria.value = k === null ? "" : String(k);
    criteria.addEventListener("change", () => go({ c: criteria.value }));
    const bar = make("div", { className: "bar" }, modes, make("label", {}, "Criterion ", criteria));
    const group = groups.get(groupKey(r));
    if (group.length > 1) {
      const button = make("button", { type: "button", id: "group", textContent: `Group of ${group.length}`, ariaPressed: String(state.g === "1"), title: "Side by side (g)" });
      button.addEventListener("click", () => go({ g: state.g ? "" : "1" }));
      bar.append(button);
    }
    const steps = stepsOf(r);
    if (steps.length > 1) {
      const at = steps.indexOf(page.index.step[r]);
      const slider = make("input", { type: "range", id: "slider", min: 0, max: steps.length - 1, step: 1, value: at, ariaLabel: "Step of training at which this prompt was answered" });
      slider.setAttribute("aria-valuetext", `step ${steps[at]}`);
      slider.addEventListener("input", () => go({ r: String(visit(r, steps[Number(slider.value)])) }, true));
      bar.append(make("label", { className: "slider" }, "Step ", slider, make("output", { textContent: `${steps[at]} (${at + 1} of ${steps.length})` })));
    }
    return bar;
  }

  /** The steps at which a record's prompt was answered. */
  const stepsOf = (r) => [...visits.get(visitKey(r)).keys()].sort((a, b) => a - b);

  /** The record of the same prompt at another step, at the same place in its group. */
  function visit(r, step) {
    const steps = visits.get(visitKey(r)), place = steps.get(page.index.step[r]).indexOf(r), there = steps.get(step);
    return there[Math.min(place, there.length - 1)];
  }

  let drawing = 0; // the newest drawing: an older one that still waits for its chunk gives up

  async function showRecord() {
    const own = ++drawing;
    hideLedger();
    const article = $("record");
    if (!size) return article.replaceChildren(make("p", { className: "notice", textContent: "There are no records here: train with records_steps=10." }));
    const r = Number(state.r);
    const one = await record(r);
    const task = page.tasks[page.index.task[r]];
    const k = state.c !== "" && Number(state.c) < task.criteria.length ? Number(state.c) : null;
    const together = state.g === "1" ? groups.get(groupKey(r)) : [r];
    const all = await Promise.all(together.map((other) => other === r ? one : record(other)));
    if (own !== drawing) return;
    const focused = document.activeElement && article.contains(document.activeElement) ? document.activeElement : null;
    const back = focused && (focused.id ? `#${focused.id}` : focused.dataset.mode ? `[data-mode="${focused.dataset.mode}"]` : focused.classList.contains("response") ? ".response" : null);
    const trained = one.weight !== null || one.advantages.some(Boolean);
    const facts = [page.runs.length > 1 ? page.runs[one.run].name : null, one.step ? `step ${one.step}, group ${one.group}` : null, `reward ${number(one.reward)}`, trained ? `response advantage ${signed(one.response_advantage)}` : null, counted(one.ends.length, one.token_ids[0] < 0 ? "word" : "token")];
    const nodes = [
      make("div", { className: "title" }, make("h2", { textContent: task.id }), make("span", {}, ...marks(r))),
      make("p", { className: "facts-line", textContent: facts.filter(Boolean).join(" · ") }),
      ...task.messages.map((message) => make("div", { className: "message" }, make("div", { className: "role", textContent: message.role }), make("div", { className: "text", dir: "auto", tabIndex: 0, role: "group", ariaLabel: `Prompt, ${message.role}`, textContent: message.content }))),
      rubricTable(one, task, k),
      toolbar(r, task, k),
    ];
    const coloured = all.map((other) => values(other, task, state.m, k)), scale = Math.max(...coloured.map((each) => each.scale));
    nodes.push(legend(state.m, scale, one));
    if (state.m === "token" && k !== null && !one.shares && trained) nodes.push(make("p", { className: "notice", textContent: "What each criterion contributed was not recorded: this is the sum over all criteria." }));
    if (one.text && !one.ends.some((end) => end > 0)) nodes.push(make("p", { className: "notice", textContent: "Which token gave which characters is not known for this response, so it is shown plain." }));
    if (together.length === 1) nodes.push(paint(one, task, coloured[0].values, scale, "Response; arrow keys walk through its tokens"));
    else {
      nodes.push(make("div", { className: "columns", tabIndex: 0, role: "group", ariaLabel: "The responses of the group" }, ...all.map((other, i) => make("section", { className: together[i] === r ? "current" : "" },
        make("h3", {}, make("a", { href: address({ r: String(together[i]) }), textContent: `${i + 1}: reward ${number(other.reward, 2)}` }), " ", ...marks(together[i]), trained ? ` ${signed(other.response_advantage)}` : ""),
        paint(other, task, coloured[i].values, scale, `Response ${i + 1}`)))));
    }
    article.replaceChildren(...nodes);
    if (back && article.querySelector(back)) article.querySelector(back).focus({ preventScroll: true });
  }

  async function showResponses() {
    find();
    if (state.r === "" || !(Number(state.r) < size)) state.r = String(found.length ? found[0] : 0);
    fillFilters();
    showList();
    await showRecord();
  }

  // ------------------------------------------------------------------------------------------------------- training

  const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f"];
  const DASHES = [[], [7, 4], [2, 3], [10, 3, 2, 3]];
  const SILENT = "rtt/groups_without_response_signal", TOKENS = "rtt/groups_with_token_signal";
  const PANELS = [
    ["Rubric accuracy", "share of criteria satisfied", { "rtt/rubric_accuracy": "" }],
    ["Instruction accuracy", "share of responses with all satisfied", { "rtt/instruction_accuracy": "" }],
    ["Size of the advantage's parts", "mean absolute value", { "rtt/response_advantage_size": "response", "rtt/token_advantage_size": "token" }],
    ["Groups with signal", "share of groups", { [SILENT]: "response", [TOKENS]: "token" }],
    ["Entropy", "nats a token", { entropy: "" }],
    ["Length", "tokens a response", { "completions/mean_length": "" }],
    ["Time", "seconds a step", { step_time: "step", "rtt/relevance_seconds": "relevance", "rtt/judge_seconds": "judge" }],
    ["Undetermined", "share of verdicts", { "rtt/undetermined": "all", "rtt/judge_failed": "judge failed" }, [0, 1]],
  ];
  const plots = [];

  function drawTraining() {
    while (plots.length) plots.pop().destroy();
    const view = $("training");
    view.replaceChildren(make("h2", { textContent: "Training" }));
    const runs = page.runs.map((run, i) => ({ ...run, colour: COLOURS[i % COLOURS.length] })).filter((run) => run.history.some((row) => row.step));
    if (!runs.length) return view.append(make("p", { className: "notice", textContent: "Nothing here was trained: there is no step of training and no log." }));
    view.append(make("ul", { className: "runs" }, ...runs.map((run) => {
      const swatch = make("span", { className: "swatch" });
      swatch.style.borderTop = `3px solid ${run.colour}`;
      return make("li", {}, swatch, `${run.name}${run.logged ? "" : " (counted from its records: no log was found)"}`);
    })));
    const known = new Set(runs.flatMap((run) => run.history.flatMap(Object.keys)));
    const rates = [...known].filter((name) => name.startsWith("rtt/pass_rate/")).sort();
    const charts = make("div", { className: "charts" }), byKind = make("div", { className: "charts" });
    view.append(charts);
    if (rates.length) view.append(make("h2", { textContent: "Pass rate by kind of criterion" }), byKind);
    for (const panel of PANELS) if (Object.keys(panel[2]).some((name) => known.has(name))) drawChart(charts, runs, ...panel);
    for (const name of rates) drawChart(byKind, runs, name.replace("rtt/pass_rate/", ""), "share satisfied", { [name]: "" }, [0, 1]);
  }

  function drawChart(parent, runs, title, unit, metrics, range) {
    const series = [];
    for (const run of runs) {
      Object.entries(metrics).forEach(([metric, label], part) => {
        const points = new Map(run.history.filter((row) => row[metric] !== undefined && row[metric] !== null).map((row) => [row.step, metric === SILENT ? 1 - row[metric] : row[metric]]));
        if (points.size) series.push({ label: [runs.length > 1 ? run.name : "", label].filter(Boolean).join(", ") || title, points, stroke: run.colour, dash: DASHES[part % DASHES.length] });
      });
    }
    if (!series.length) return;
    const steps = [...new Set(series.flatMap((one) => [...one.points.keys()]))].sort((a, b) => a - b);
    const data = [steps, ...series.map((one) => steps.map((step) => one.points.has(step) ? one.points.get(step) : null))];
    const canvas = make("div");
    parent.append(make("figure", {}, make("figcaption", {}, title, " ", make("span", { textContent: unit })), canvas, valuesTable(series, steps)));
    const style = getComputedStyle(document.documentElement), ink = style.getPropertyValue("--soft").trim(), line = style.getPropertyValue("--line").trim();
    const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line } };
    plots.push(new uPlot({
      width: Math.max(200, canvas.clientWidth), height: 190,
      scales: { x: { time: false }, y: range ? { range } : {} },
      axes: [{ ...axis, label: "step", labelSize: 18, size: 34, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 50000] }, { ...axis, size: 56 }],
      series: [{ label: "step" }, ...series.map(({ label, stroke, dash }) => ({ label, stroke, dash, width: 2, spanGaps: true, points: { show: steps.length < 30, size: 6 }, value: (_, value) => value === null ? "–" : value.toPrecision(4) }))],
      cursor: { drag: { x: true, y: false } },
    }, data, canvas));
  }

  /** The chart once more as a table, for who cannot see it. */
  function valuesTable(series, steps) {
    const details = make("details", {}, make("summary", { textContent: "Values" }));
    details.addEventListener("toggle", () => {
      if (details.children.length > 1) return;
      details.append(make("div", { className: "scroll", tabIndex: 0 }, make("table", {},
        make("thead", {}, make("tr", {}, ...["step", ...series.map((one) => one.label)].map((name) => make("th", { textContent: name, className: "n", scope: "col" })))),
        make("tbody", {}, ...steps.map((step) => make("tr", {}, make("td", { className: "n", textContent: step }), ...series.map((one) => make("td", { className: "n", textContent: one.points.has(step) ? one.points.get(step).toPrecision(4) : "–" }))))))));
    });
    return details;
  }

  // --------------------------------------------------------------------------------------------------------- alarms

  function drawAlarms() {
    const view = $("alarms");
    view.replaceChildren(make("h2", { textContent: "Alarms" }));
    if (!page.alarms.length) return view.append(make("p", { className: "notice", textContent: "None: nothing looks wrong." }));
    for (const alarm of page.alarms) {
      const where = [];
      if (page.runs.length > 1) where.push(page.runs[alarm.run].name);
      if (alarm.steps) where.push(alarm.steps[0] === alarm.steps[1] ? `step ${alarm.steps[0]}` : `steps ${alarm.steps[0]} to ${alarm.steps[1]}`);
      const line = make("div", { className: "where" }, where.join(" · "));
      if (alarm.task) line.append(where.length ? " · " : "", make("a", { href: `#${new URLSearchParams({ v: "responses", q: alarm.task })}`, textContent: `responses to ${alarm.task}` }));
      view.append(make("section", { className: `alarm ${alarm.severity}` }, make("h3", { textContent: `${alarm.severity}: ${alarm.title}` }), line, make("p", { textContent: alarm.advice })));
    }
  }

  // ----------------------------------------------------------------------------------------------- drawing and keys

  const drawn = new Set();

  async function draw() {
    readAddress();
    for (const view of document.querySelectorAll(".view")) view.hidden = view.id !== state.v;
    for (const link of document.querySelectorAll("nav a")) {
      if (link.dataset.view === state.v) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
      link.href = link.dataset.view === "responses" ? address({ v: "responses" }) : `#v=${link.dataset.view}`;
    }
    if (state.v === "responses") await showResponses();
    else if (!drawn.has(state.v)) { drawn.add(state.v); if (state.v === "training") drawTraining(); else drawAlarms(); }
    document.body.dataset.ready = location.hash || "#";
  }

  function fail(error) {
    $("failure").hidden = false;
    $("failure").textContent = `This page cannot be shown: ${error.message}.`;
    console.error(error);
  }
  const redraw = () => draw().catch(fail);

  function theme(dark) {
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    drawn.delete("training");
  }

  function step(by) {
    const steps = stepsOf(Number(state.r));
    const next = steps[steps.indexOf(page.index.step[Number(state.r)]) + by];
    if (next !== undefined) go({ r: String(visit(Number(state.r), next)) }, true);
  }

  function turnCriterion(by) {
    const count = page.tasks[page.index.task[Number(state.r)]].criteria.length;
    const next = ((state.c === "" ? -1 : Number(state.c)) + by + 1 + count + 1) % (count + 1) - 1;
    go({ c: next < 0 ? "" : String(next) });
  }

  const KEYS = {
    j: () => { const next = found[found.indexOf(Number(state.r)) + 1]; if (next !== undefined) go({ r: String(next), c: "" }); },
    k: () => { const at = found.indexOf(Number(state.r)); if (at > 0) go({ r: String(found[at - 1]), c: "" }); },
    "[": () => step(-1),
    "]": () => step(1),
    c: () => turnCriterion(1),
    C: () => turnCriterion(-1),
    g: () => go({ g: state.g ? "" : "1" }),
    "/": () => $("search").focus(),
  };
  Object.keys(MODES).forEach((mode, i) => { KEYS[String(i + 1)] = () => go({ m: mode }); });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || ["INPUT", "SELECT", "TEXTAREA"].includes(event.target.tagName) || $("help").open) return;
    if (event.key === "?") $("help").showModal();
    else if (event.key === "t") $("theme").click();
    else if (state.v === "responses" && size && KEYS[event.key]) { event.preventDefault(); KEYS[event.key](); }
  });
  for (const [id, name] of [["run", "run"], ["step", "s"], ["kind", "k"], ["verdict", "o"], ["sort", "sort"]]) {
    $(id).addEventListener("change", () => go({ [name]: $(id).value, r: "", c: "" }));
  }
  let typing;
  $("search").addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(() => go({ q: $("search").value, r: "", c: "" }, true), 150); });
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  $("page-back").addEventListener("click", () => { place = Math.max(0, place - ROWS); showPage(); });
  $("page-on").addEventListener("click", () => { place += ROWS; showPage(); });
  function showPage() { go({ r: String(found[place]), c: "" }); }
  $("theme").addEventListener("click", () => { theme(document.documentElement.dataset.theme !== "dark"); redraw(); });
  $("help-button").addEventListener("click", () => $("help").showModal());
  addEventListener("hashchange", redraw);
  let resizing;
  addEventListener("resize", () => { clearTimeout(resizing); resizing = setTimeout(() => { if (state.v === "training") { drawn.delete("training"); redraw(); } }, 200); });

  theme(matchMedia("(prefers-color-scheme: dark)").matches);
  load().then(() => { $("alarm-count").textContent = page.alarms.length || ""; return draw(); }).catch(fail);
})();
