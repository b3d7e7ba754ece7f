// Requests to the service, and its events. Addresses are relative, so that a proxy may serve all this below a path of its own.

const BASE = "api/v1/";
// The service says the time twice a second. Silence for so long is taken as its absence.
const SILENCE_MS = 5000;
const AGAIN_MS = 1500;
// A stream may take a while to stop.
const ANSWER_MS = 30000;

export const pathOf = (name) => `streams/${encodeURIComponent(name)}`;

// Gives { ok, status, body, error, faults }; never throws.
export async function ask(method, path, document) {
  const options = { method, headers: { Accept: "application/json" }, signal: AbortSignal.timeout(ANSWER_MS) };
  if (document !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(document);
  }
  try {
    const response = await fetch(BASE + path, options);
    // The token has changed, or the cookie is too old: the log-in form stands where the page was.
    if (response.status === 401) location.reload();
    const body = response.status === 204 ? null : await response.json();
    return { ok: response.ok, status: response.status, body, error: body?.error ?? "", faults: body?.faults ?? [] };
  } catch {
    return { ok: false, status: 0, body: null, error: "The daemon does not answer.", faults: [] };
  }
}

// Calls handlers.stream, .streams, .service and .time with what the service tells, and .away(true or false) as it goes and comes.
export function listen(handlers) {
  let source = null;
  let silence = 0;
  let away = null;

  const tell = (isAway) => {
    if (away !== isAway) handlers.away(isAway);
    away = isAway;
  };
  const heard = () => {
    clearTimeout(silence);
    silence = setTimeout(lost, SILENCE_MS);
    tell(false);
  };
  const lost = () => {
    clearTimeout(silence);
    source?.close();
    source = null;
    tell(true);
    setTimeout(open, AGAIN_MS);
  };
  const open = () => {
    if (source !== null) return;
    source = new EventSource(BASE + "events");
    source.onerror = async () => {
      // Who is asked again may say that the log-in is over.
      if (source?.readyState === EventSource.CLOSED) await ask("GET", "options");
      lost();
    };
    for (const kind of ["stream", "streams", "service", "time"]) {
      source.addEventListener(kind, (event) => {
        heard();
        handlers[kind](JSON.parse(event.data));
      });
    }
    silence = setTimeout(lost, SILENCE_MS);
  };
  open();
}
