"""
The console: pages under `/console`, for the people who run a server.

Theory of operation. A page is a function from a question to data, and a template that
shows that data and nothing else; the same data is at the page's URL + `.json`. HTML is
written on the server and works without script. The one script (`static/console.js`)
swaps in what changes while somebody looks on (`live`). Nothing is loaded from
elsewhere, and no text of a stranger is ever more than text: autoescape is on, and the
policy in the head of each answer (`guard`) lets no inline script or style run.

The console reads and changes through `service/`, as the APIs do. It is put together at
the first request for one of its paths: a server that nobody looks at has no templates.

How a page is added:

1. In a module of `pages/`: an async function `(console, viewer, ask) -> Shown`, and a
   row `page("/pools/{pool}", show_pool, "pool.html")` in its `ROUTES`.
2. The template, extending `base.html`, made of the macros in `macros.html`.
3. A change is a form whose POST goes to a row `action(...)`; its function returns
   `Done` or, with what is wrong, `Shown`. It calls an operation (`Console.call`), or a
   service function and then `Console.note_change`.
4. What changes by itself is a row `live(...)`, and `data-live` on the element.
5. The page in `tests/console/test_all_pages.py`, and a story in a browser.
"""
