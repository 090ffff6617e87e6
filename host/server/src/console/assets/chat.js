// The box to try a model: asks `/v1/chat/completions` as any client would, and shows the answer as it comes.
//
// In: what is written into the form. Out: the answer's text, how long it took, and who gave it. The key, where one is asked for, stays in
// its field.

const form = document.getElementById('chat-form');
const field = (name) => document.getElementById(`chat-${name}`);
const [model, key, text, send, stop, answer, note] = ['model', 'key', 'text', 'send', 'stop', 'answer', 'note'].map(field);

let asking;

async function ask() {
  asking = new AbortController();
  [send.disabled, stop.disabled] = [true, false];
  answer.textContent = '';
  note.textContent = 'asked …';
  const begun = performance.now();
  const took = () => `${Math.round(performance.now() - begun)} ms`;
  try {
    const response = await fetch('/v1/chat/completions', request());
    if (!response.ok) throw new Error(await refusal(response));
    let first;
    for await (const piece of pieces(response.body)) {
      first ??= took();
      answer.append(piece);
      answer.scrollTop = answer.scrollHeight;
    }
    const who = response.headers.get('x-hauski-route') ?? '';
    note.textContent = `Answered in ${took()}${first ? `, the first piece after ${first}` : ''}. ${who}`;
  } catch (error) {
    note.textContent = asking.signal.aborted ? `Stopped after ${took()}.` : `No answer: ${error.message}`;
  } finally {
    // A disabled button loses the focus, which would throw who works by keyboard back to the page's begin.
    const hadFocus = document.activeElement === stop || document.activeElement === document.body;
    [send.disabled, stop.disabled] = [false, true];
    if (hadFocus) send.focus();
  }
}

function request() {
  const headers = { 'content-type': 'application/json' };
  if (key?.value) headers.authorization = `Bearer ${key.value}`;
  const messages = [{ role: 'user', content: text.value }];
  const body = JSON.stringify({ model: model.value, stream: true, messages });
  // What the browser knows for the console is not meant for models.
  return { method: 'POST', headers, body, credentials: 'omit', signal: asking.signal };
}

async function refusal(response) {
  const body = await response.json().catch(() => ({}));
  return body.error?.message ?? `status ${response.status}`;
}

/** The text of an answer piece by piece. One that breaks off is an error of the stream: the gateway lets none look whole. */
async function* pieces(body) {
  let rest = '';
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    const events = (rest + read.value).split('\n\n');
    rest = events.pop();
    for (const event of events) {
      const data = event.split('\n').map((line) => line.replace(/^data: ?/, '')).join('\n');
      if (data === '[DONE]') continue;
      const { error, choices } = JSON.parse(data);
      if (error) throw new Error(error.message);
      const piece = choices?.[0]?.delta?.content;
      if (piece) yield piece;
    }
  }
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  if (!send.disabled) ask();
});
text.addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});
stop.addEventListener('click', () => asking?.abort());
[form.hidden, field('off').hidden] = [false, true];
