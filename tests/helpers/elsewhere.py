"""A page of another origin that does all a page can do to a server, and a server of this machine that has it."""

import functools
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PAGE = """<!doctype html><title>elsewhere</title><iframe name=sink></iframe><script>
const told = []
const soon = promise => Promise.race([promise, new Promise(done => setTimeout(done, 8000, 'no answer'))])
async function attack(jobs) {
    for (const [method, url, type, body] of jobs) {
        for (const mode of ['cors', 'no-cors']) {
            const asked = {method, mode, credentials: 'include', headers: type ? {'content-type': type} : {}, body}
            try { const a = await soon(fetch(url, asked)); told.push([mode, url, a.type, await a.text()]) }
            catch (error) { told.push([mode, url, 'error', '']) }
        }
        if (method == 'POST') {
            const form = document.createElement('form'), field = document.createElement('input')
            Object.assign(form, {method, action: url, target: 'sink', enctype: 'text/plain'})
            Object.assign(field, {name: body.slice(0, -1) + ',"x":"', value: '"}'})
            form.append(field); document.body.append(form); form.submit()
            await new Promise(done => setTimeout(done, 300))
        } else {
            const script = Object.assign(document.createElement('script'), {src: url})
            told.push(['script', url, await soon(new Promise(done => {
                script.onload = () => done('loaded'); script.onerror = () => done('error'); document.body.append(script)
            })), ''])
        }
    }
    for (const [method, url] of jobs.slice(0, 1)) {
        const socket = new WebSocket(url.replace('http', 'ws').replace(/api.*/, 'api/events/out'), ['prefect'])
        told.push(['socket', url, await soon(new Promise(done => {
            socket.onopen = () => socket.send('{"type": "auth", "token": "other"}')  // the temporary server asks then
            socket.onmessage = () => done('told'); socket.onerror = socket.onclose = () => done('error')
        })), ''])
    }
    return told
}
</script>"""
"""`attack(jobs)` promises a list of (way, address, outcome, text) for jobs of (method, address, content type, body)."""


@contextmanager
def page_elsewhere(place: Path) -> Iterator[int]:
    """A server that has the page, at a port of its own on every name of this machine."""
    (place / "index.html").write_text(PAGE)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=place))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
