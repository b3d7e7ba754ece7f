// Live pictures of all streams that are on the screen, over one connection: a browser opens only six to a server.

const DELIMITER_BYTES = "\r\n--gradcast\r\n".length;
const SETTLE_MS = 200;
const AGAIN_MS = 1500;
// No picture of a stream for so long, and all are asked for anew: its feed may be another, and networks do not always say that they have gone.
const SILENCE_MS = 10000;

export class Previews {
  // show(name, url) gets each picture; the url is its own until it is revoked.
  constructor(show) {
    this.show = show;
    this.visible = new Set();
    this.connection = null;
    this.asked = "";
    this.timer = 0;
    this.opened = 0;
    this.heard = new Map();
    this.observer = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        if (isIntersecting) this.visible.add(target.dataset.stream);
        else this.visible.delete(target.dataset.stream);
      }
      this.settle();
    });
    document.addEventListener("visibilitychange", () => this.settle());
  }

  add(element) {
    this.observer.observe(element);
  }

  remove(element) {
    this.observer.unobserve(element);
    this.visible.delete(element.dataset.stream);
    this.heard.delete(element.dataset.stream);
    this.settle();
  }

  // Asks anew where other streams are to be seen than those that were asked for.
  settle(after = SETTLE_MS) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      const names = document.hidden ? "" : [...this.visible].sort().join(",");
      if (names === this.asked && this.connection !== null) return;
      this.connection?.abort();
      this.connection = null;
      this.asked = names;
      if (names !== "") this.open(names);
    }, after);
  }

  // Asks anew whatever was asked for.
  renew() {
    this.connection?.abort();
    this.connection = null;
    this.settle(0);
  }

  // Twice a second; `due` names the streams that should have pictures.
  tick(due) {
    const now = performance.now();
    const last = (name) => Math.max(this.opened, this.heard.get(name) ?? 0);
    const silent = due.some((name) => this.visible.has(name) && now - last(name) > SILENCE_MS);
    if (silent && this.connection !== null) this.renew();
  }

  async open(names) {
    const connection = new AbortController();
    this.connection = connection;
    this.opened = performance.now();
    try {
      const response = await fetch(`api/v1/previews?streams=${encodeURIComponent(names)}`, { signal: connection.signal });
      if (response.ok) await this.read(response.body.getReader());
    } catch {
      // Cut off by us, or the daemon is away: events tell of that.
    }
    if (this.connection === connection) {
      this.connection = null;
      this.settle(AGAIN_MS);
    }
  }

  // Parts are: head, empty line, picture, delimiter. One delimiter stands before the first.
  async read(reader) {
    let bytes = new Uint8Array();
    let skip = DELIMITER_BYTES - 2;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      bytes = joined(bytes, value);
      for (;;) {
        const part = bytes.length > skip ? firstPart(bytes.subarray(skip)) : null;
        if (part === null) break;
        bytes = bytes.slice(skip + part.length);
        skip = 0;
        this.heard.set(part.stream, performance.now());
        this.show(part.stream, URL.createObjectURL(new Blob([part.picture], { type: "image/jpeg" })));
      }
    }
  }
}

function joined(first, second) {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}

// The first whole part with the delimiter behind it; null where more has to come.
function firstPart(bytes) {
  const head = headOf(bytes);
  if (head === null) return null;
  const picture = Number(/^content-length: (\d+)/im.exec(head)[1]);
  const length = head.length + picture + DELIMITER_BYTES;
  if (bytes.length < length) return null;
  return { stream: /^x-stream: (.*?)\r$/im.exec(head)[1], picture: bytes.slice(head.length, head.length + picture), length };
}

// All up to the empty line. A head is short, so nothing is looked at far beyond.
function headOf(bytes) {
  const text = new TextDecoder("latin1").decode(bytes.subarray(0, 1024));
  const end = text.indexOf("\r\n\r\n");
  return end < 0 ? null : text.slice(0, end + 4);
}
