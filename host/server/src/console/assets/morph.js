// Makes an element's content what the server says it is now, by changing only what differs.
//
// In: an element and the HTML of its new content, escaped by the server. Elements that stay the same are left alone, so that focus,
// selection, scrolling and opened details survive; rows are known by their ids.

// The one place where text becomes markup. The page's policy lets no other policy be made.
const policy = window.trustedTypes?.createPolicy('console', { createHTML: (html) => html });

/** The elements that `html` stands for. */
export function parse(html) {
  const template = document.createElement('template');
  template.innerHTML = policy ? policy.createHTML(html) : html;
  return template.content;
}

/** Makes the content of `element` that of `html`. */
export function morph(element, html) {
  children(element, parse(html));
}

function children(now, next) {
  let at = now.firstChild;
  for (const wanted of [...next.childNodes]) {
    const own = find(now, at, wanted);
    if (!own) {
      now.insertBefore(wanted, at);
      continue;
    }
    while (at !== own) at = remove(at);
    node(own, wanted);
    at = own.nextSibling;
  }
  while (at) at = remove(at);
}

/** The node from `at` on that is to become `wanted`: the one with its id, or else the very next if that is alike. */
function find(now, at, wanted) {
  if (wanted.id) {
    const own = document.getElementById(wanted.id);
    if (own?.parentNode === now) return own;
  }
  const alike = at && at.nodeType === wanted.nodeType && at.nodeName === wanted.nodeName;
  return alike && (at.id ?? '') === (wanted.id ?? '') ? at : null;
}

function remove(node) {
  const next = node.nextSibling;
  node.remove();
  return next;
}

function node(own, wanted) {
  if (own.isEqualNode(wanted)) return;
  if (own.nodeType !== Node.ELEMENT_NODE) {
    own.nodeValue = wanted.nodeValue;
    return;
  }
  for (const { name } of [...own.attributes]) {
    // Whether details are open is for whoever looks to say.
    if (!wanted.hasAttribute(name) && name !== 'open') own.removeAttribute(name);
  }
  for (const { name, value } of wanted.attributes) {
    if (own.getAttribute(name) !== value) own.setAttribute(name, value);
  }
  children(own, wanted);
}
