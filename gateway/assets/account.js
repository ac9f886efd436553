// The token stands in the fragment, which no server sees; it is sent only when the person presses the button.
const form = document.getElementById("form");
const said = document.getElementById("said");
// What is wrong with a field says more than that something is.
const told = (problem, seconds) => {
  const reasons = problem.errors
    .filter(({ field }) => form.elements[field])
    .map(({ field, detail }) => `${form.elements[field].labels[0].firstChild.textContent.trim()}: ${detail}.`);
  const wait = seconds ? ` (${seconds} s)` : "";
  return (reasons.join(" ") || problem.detail) + wait;
};
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  const body = Object.fromEntries(new FormData(form));
  body.token = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
  try {
    const answer = await fetch(form.dataset.path, {
      method: "POST",
      headers: { "Content-Type": "application/json", "Accept-Language": navigator.language },
      body: JSON.stringify(body),
    });
    said.textContent = answer.ok ? "Tamam. / Done." : told(await answer.json(), answer.headers.get("Retry-After"));
    button.disabled = answer.ok;
  } catch {
    said.textContent = "Bağlantı kurulamadı, yeniden deneyin. / No connection, please try again.";
    button.disabled = false;
  }
});
