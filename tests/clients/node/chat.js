// What providers say in chat completions, to be scripted by tests.

/** A provider's whole answer. */
export function completion(message, finish_reason = 'stop', rest = {}) {
  const choice = { index: 0, message: { role: 'assistant', ...message }, finish_reason };
  return JSON.stringify({ id: 'c-1', object: 'chat.completion', created: 1, model: 'm', choices: [choice], ...rest });
}

/** A provider's chunk. */
export function chunk(delta, finish_reason = null, rest = {}) {
  const choices = [{ index: 0, delta, finish_reason }];
  return JSON.stringify({ id: 'c-1', object: 'chat.completion.chunk', created: 1, model: 'm', choices, ...rest });
}
