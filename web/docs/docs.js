// The API reference: reads /openapi.json and nothing else, and can try every call. No framework, nothing from elsewhere.
"use strict";

const METHODS = ["get", "post", "put", "patch", "delete"];
let api;

// Makes an element. Text is always text: nothing in the document can become markup.
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "onclick") element.addEventListener("click", value);
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function resolve(thing) {
  if (!thing || !thing.$ref) return thing;
  return thing.$ref.slice(2).split("/").reduce((place, key) => place[key.replaceAll("~1", "/")], api);
}

// The little of Markdown that comments use: paragraphs, lists, code, bold.
function prose(text) {
  const box = make("div");
  for (const block of (text || "").split(/\n\n+/)) {
    const lines = block.split("\n");
    const items = lines.filter((line) => line.startsWith("- "));
    const plain = lines.filter((line) => !line.startsWith("- ")).join(" ").trim();
    if (plain) box.append(make("p", {}, ...inline(plain)));
    if (items.length) box.append(make("ul", {}, ...items.map((item) => make("li", {}, ...inline(item.slice(2))))));
  }
  return box;
}

function inline(text) {
  return text.split(/(`[^`]+`|\*\*[^*]+\*\*)/).filter(Boolean).map((piece) => {
    if (piece.startsWith("`")) return make("code", {}, piece.slice(1, -1));
    if (piece.startsWith("**")) return make("strong", {}, piece.slice(2, -2));
    return piece;
  });
}

function kindOf(schema) {
  const found = resolve(schema) || {};
  if (found.type === "array") return `list of ${kindOf(found.items)}`;
  const name = schema.$ref ? schema.$ref.split("/").pop() : "";
  if (found.enum && name) return name;
  const type = Array.isArray(found.type) ? found.type.join(" or ") : found.type || "anything";
  return [name || type, found.format ? `(${found.format})` : ""].join(" ").trim();
}

const LIMITS = {
  minLength: "at least # characters", maxLength: "at most # characters", pattern: "matches #", minimum: "at least #",
  maximum: "at most #", exclusiveMinimum: "more than #", exclusiveMaximum: "less than #", minItems: "at least # items",
  maxItems: "at most # items", const: "always #",
};

function limits(schema) {
  const found = resolve(schema) || {};
  const texts = Object.entries(LIMITS).filter(([key]) => key in found).map(([key, text]) => text.replace("#", found[key]));
  if (found.uniqueItems) texts.push("no repetition");
  if (found.enum) texts.push(`one of ${found.enum.map((value) => value || '""').join(", ")}`);
  return texts.join("; ");
}

// Fields of an object, deeper ones behind a click. `word` marks those that are always there.
function fields(schema, word, depth = 0) {
  let found = resolve(schema) || {};
  while (found.type === "array") found = resolve(found.items) || {};
  if (!found.properties) return null;
  const list = make("dl");
  for (const [name, field] of Object.entries(found.properties)) {
    const isNeeded = (found.required || []).includes(name);
    list.append(make("dt", {}, make("code", {}, name), " ", make("span", { class: "kind" }, kindOf(field)),
      isNeeded ? make("span", { class: "need" }, ` ${word}`) : null));
    const text = [field.description || resolve(field)?.description || "", limits(field)].filter(Boolean).join("\n\n");
    const inner = depth < 6 ? fields(field, word, depth + 1) : null;
    const about = make("dd", {}, prose(text));
    if (inner) about.append(make("details", { class: "more" }, make("summary", {}, "fields"), inner));
    list.append(about);
  }
  return list;
}

function parameters(operation) {
  const found = (operation.parameters || []).map(resolve);
  if (!found.length) return null;
  const list = make("dl");
  for (const parameter of found) {
    list.append(make("dt", {}, make("code", {}, parameter.name), " ",
      make("span", { class: "kind" }, `${parameter.in}, ${kindOf(parameter.schema)}`),
      parameter.required ? make("span", { class: "need" }, " required") : null));
    list.append(make("dd", {}, prose([parameter.description, limits(parameter.schema)].filter(Boolean).join("\n\n"))));
  }
  return list;
}

function answers(operation) {
  const box = make("div");
  for (const [status, reference] of Object.entries(operation.responses)) {
    const answer = resolve(reference);
    const more = make("details", { class: "more" }, make("summary", {}, status));
    more.append(prose(answer.description));
    for (const [type, media] of Object.entries(answer.content || {})) {
      more.append(make("p", { class: "kind" }, type));
      if (status === "200") more.append(fields(media["x-event-data"] || media.schema, "always") || "");
      if (media.example !== undefined) more.append(make("pre", {}, pretty(media.example)));
    }
    if (status === "200") more.setAttribute("open", "");
    box.append(more);
  }
  return box;
}

function pretty(value) {
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}

function labels(operation) {
  const policy = operation["x-policy"] || {};
  const texts = [policy.access, policy.rate && `rate ${policy.rate}`, policy.idempotency && `repeating: ${policy.idempotency}`,
    policy.timeoutSeconds && `deadline ${policy.timeoutSeconds} s`, policy.stepUp && "second factor",
    policy.minKycTier && `KYC tier ${policy.minKycTier}`, operation["x-grpc-method"]].filter(Boolean);
  return make("ul", { class: "tags" }, ...texts.map((text) => make("li", {}, text)));
}

// Trying a call

function form(method, path, operation) {
  const box = make("div", { class: "try" }, make("h4", {}, "Try it"));
  const inputs = [];
  for (const parameter of (operation.parameters || []).map(resolve)) {
    if (parameter.name === "X-Tenant-Id") continue;
    const input = make("input", { autocomplete: "off", spellcheck: "false" });
    if (parameter.name === "Idempotency-Key") input.value = crypto.randomUUID();
    inputs.push([parameter, input]);
    box.append(make("label", {}, `${parameter.name}${parameter.required ? " (required)" : ""}`, input));
  }
  const media = operation.requestBody && Object.entries(operation.requestBody.content)[0];
  let body = null;
  if (media) {
    body = make("textarea", { spellcheck: "false", "aria-label": "Body" });
    body.value = media[1].example === undefined ? "" : pretty(media[1].example);
    box.append(make("label", {}, "Body", body));
  }
  const output = make("pre", { hidden: "" });
  const prepare = () => request(method, path, inputs, body, operation);
  let running = null;
  box.append(
    make("button", { type: "button", onclick: () => { running?.abort(); running = new AbortController(); send(prepare(), output, running.signal); } }, "Send"),
    make("button", { type: "button", onclick: () => { running?.abort(); show(output, curl(prepare())); } }, "As curl"),
    output,
  );
  return box;
}

function request(method, path, inputs, body, operation) {
  const headers = {};
  const query = new URLSearchParams();
  let url = path;
  for (const [parameter, input] of inputs) {
    if (parameter.in === "path") url = url.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
    else if (!input.value) continue;
    else if (parameter.in === "query") input.value.split(",").forEach((value) => query.append(parameter.name, value.trim()));
    else headers[parameter.name] = input.value;
  }
  const token = document.getElementById("token").value.trim();
  const tenant = document.getElementById("tenant").value.trim();
  if (token && operation.security?.length) headers.Authorization = `Bearer ${token}`;
  if (tenant) headers["X-Tenant-Id"] = tenant;
  if (body) headers["Content-Type"] = "application/json";
  return { method: method.toUpperCase(), url: url + (query.size ? `?${query}` : ""), headers, body: body ? body.value : undefined };
}

function curl({ method, url, headers, body }) {
  const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const parts = [`curl -X ${method} ${quote(location.origin + url)}`];
  for (const [name, value] of Object.entries(headers)) parts.push(`-H ${quote(`${name}: ${value}`)}`);
  if (body !== undefined) parts.push(`-d ${quote(body)}`);
  return parts.join(" \\\n  ");
}

function show(output, text) {
  output.hidden = false;
  output.textContent = text;
}

async function send({ method, url, headers, body }, output, signal) {
  show(output, "…");
  const began = performance.now();
  try {
    const answer = await fetch(url, { method, headers, body, signal });
    const head = `${answer.status} in ${Math.round(performance.now() - began)} ms\n\n`;
    if ((answer.headers.get("content-type") || "").startsWith("text/event-stream")) {
      await follow(answer, output, head);
      return;
    }
    const text = await answer.text();
    let shown = text;
    try {
      const found = JSON.parse(text);
      shown = JSON.stringify(found, null, 2);
      if (found.accessToken) document.getElementById("token").value = found.accessToken;
    } catch { /* not JSON: shown as it is */ }
    show(output, head + shown);
  } catch (error) {
    if (error.name !== "AbortError") show(output, `The call failed: ${error.message}`);
  }
}

async function follow(answer, output, head) {
  show(output, head);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    output.textContent += value;
  }
  output.textContent += "\n(the stream has ended)";
}

// The page

function call(method, path, operation) {
  const details = make("details", { class: "call", id: operation.operationId });
  details.append(make("summary", {}, make("span", { class: "method" }, method.toUpperCase()),
    make("span", { class: "path" }, path), make("span", { class: "said" }, operation.summary || "")));
  details.searchable = JSON.stringify([method, path, operation]).toLowerCase();
  details.addEventListener("toggle", () => {
    if (!details.open || details.querySelector(":scope > div")) return;
    const inside = make("div", {}, prose(operation.description), labels(operation));
    const sent = parameters(operation);
    if (sent) inside.append(make("h4", {}, "Parameters"), sent);
    if (operation.requestBody) {
      const media = Object.values(operation.requestBody.content)[0];
      inside.append(make("h4", {}, "Body"), prose(resolve(media.schema)?.description || ""), fields(media.schema, "required") || "");
    }
    inside.append(make("h4", {}, "Answers"), answers(operation), form(method, path, operation));
    details.append(inside);
  });
  return details;
}

function build() {
  const main = document.getElementById("main");
  main.replaceChildren(make("h1", {}, `${api.info.title} API`), prose(api.info.description));
  main.append(make("p", {}, make("a", { href: "/openapi.json" }, "OpenAPI document")));
  for (const tag of api.tags) {
    const section = make("section", {}, make("h2", {}, tag.name), prose(tag.description));
    for (const [path, place] of Object.entries(api.paths)) {
      for (const method of METHODS) {
        if (place[method]?.tags?.includes(tag.name)) section.append(call(method, path, place[method]));
      }
    }
    main.append(section);
  }
}

function filter(text) {
  const wanted = text.trim().toLowerCase();
  for (const section of document.querySelectorAll("section")) {
    let count = 0;
    for (const details of section.querySelectorAll("details.call")) {
      details.hidden = Boolean(wanted) && !details.searchable.includes(wanted);
      if (!details.hidden) count += 1;
    }
    section.hidden = count === 0;
  }
}

async function start() {
  try {
    const answer = await fetch("/openapi.json");
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    api = await answer.json();
  } catch (error) {
    document.getElementById("main").replaceChildren(make("p", { class: "bad" }, `The API document could not be read: ${error.message}`));
    return;
  }
  build();
  document.getElementById("find").addEventListener("input", (event) => filter(event.target.value));
  const wanted = location.hash && document.getElementById(location.hash.slice(1));
  if (wanted) { wanted.open = true; wanted.scrollIntoView(); }
}

start();
