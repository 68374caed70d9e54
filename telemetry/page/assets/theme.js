// Chooses dark or light before the first paint, hence no module. The system decides
// until somebody presses the button.
(() => {
  const root = document.documentElement;
  try {
    const chosen = localStorage.getItem("emberwing.theme");
    if (chosen === "dark" || chosen === "light") root.dataset.theme = chosen;
  } catch {
    // Without storage the system decides.
  }
})();
