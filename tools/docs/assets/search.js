// The search box: looks for the words in the titles and headings of index.js.
(function () {
    const input = document.getElementById("search");
    const results = document.getElementById("results");
    const contents = document.getElementById("contents");
    const root = input.dataset.root;

    // Lower is better; negative: no match. Every word must occur.
    function rank(page, words) {
        const title = page.title.toLowerCase();
        const all = (title + " " + page.headings.join(" ")).toLowerCase();
        if (!words.every((word) => all.includes(word))) return -1;
        if (title.startsWith(words[0]) || title.startsWith("zx_" + words[0])) return 0;
        return words.every((word) => title.includes(word)) ? 1 : 2;
    }

    function show() {
        const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
        const found = !words.length ? [] : PAGES
            .map((page) => ({ page, rank: rank(page, words) }))
            .filter((entry) => entry.rank >= 0)
            .sort((a, b) => a.rank - b.rank || a.page.title.localeCompare(b.page.title))
            .slice(0, 30);
        results.replaceChildren(...found.map(({ page }) => {
            const item = document.createElement("li");
            const link = document.createElement("a");
            link.href = root + "/" + page.url;
            link.textContent = page.title;
            item.append(link);
            return item;
        }));
        results.hidden = !words.length;
        contents.hidden = words.length > 0;
    }

    input.addEventListener("input", show);
    input.addEventListener("keydown", (event) => {
        const first = results.querySelector("a");
        if (event.key === "Enter" && first) first.click();
        if (event.key === "Escape") { input.value = ""; show(); }
    });
    // The list, and not the page, is scrolled to where the reader is.
    const nav = document.querySelector("nav");
    const current = nav.querySelector(".current");
    if (current) nav.scrollTop = current.offsetTop - nav.clientHeight / 2;
})();
