// Requests to the ground station, beside the feed.

// get returns the JSON of a path; parameters that are empty are left out.
export async function get(path, parameters = {}) {
  const given = Object.entries(parameters).filter(([, v]) => v !== "" && v !== null && v !== undefined);
  const query = new URLSearchParams(given);
  return answer(await fetch(`${path}?${query}`, { headers: { Accept: "application/json" } }));
}

// post sends JSON and returns the JSON that comes back.
export async function post(path, body) {
  return answer(await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body) }));
}

async function answer(response) {
  if (response.status === 401) location.assign("login");
  const type = response.headers.get("Content-Type") ?? "";
  const body = type.startsWith("application/json") ? await response.json() : { error: await response.text() };
  if (response.ok) return body;
  const failure = new Error(body.error?.trim() || `the ground station answered ${response.status}`);
  failure.status = response.status;
  throw failure;
}

// explain says what a failed request means to an operator.
export function explain(err) {
  return err instanceof TypeError ? "The ground station cannot be reached. Nothing was changed." : err.message;
}
