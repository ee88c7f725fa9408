// The status page. Text from outside is set as text, never as HTML.

const SVG = 'http://www.w3.org/2000/svg';
/** With more peers their names would overlap: the table has them. */
const NAMED_PEERS = 24;
const CENTRE = { x: 0, y: 0 };

const at = (id) => document.getElementById(id);

function element(name, text = '', className = '') {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = className;
  return made;
}

function shape(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function showTopology({ node, peers }) {
  const drawn = document.createDocumentFragment();
  const named = peers.length <= NAMED_PEERS;
  peers.forEach((peer, i) => {
    const angle = (2 * Math.PI * i) / peers.length - Math.PI / 2;
    const spot = { x: 200 * Math.cos(angle), y: 150 * Math.sin(angle) };
    const line = shape('line', { x1: CENTRE.x, y1: CENTRE.y, x2: spot.x, y2: spot.y, class: peer.state });
    line.append(shape('title', {}, `${node} to ${peer.name}: ${peer.path}, ${peer.state}`));
    drawn.append(line);
    const dot = shape('circle', { cx: spot.x, cy: spot.y, r: named ? 8 : 3, class: peer.state });
    dot.append(shape('title', {}, peer.name));
    drawn.append(dot);
    if (!named) return;
    drawn.append(
      shape('text', { x: spot.x, y: spot.y + (spot.y < 0 ? -14 : 22) }, shortened(peer.name)),
      shape(
        'text',
        { x: spot.x * 0.55, y: spot.y * 0.55 - 4, class: 'path' },
        `${peer.path}${roundTrip(peer)}`,
      ),
    );
  });
  drawn.append(
    shape('circle', { cx: CENTRE.x, cy: CENTRE.y, r: 12 }),
    shape('text', { x: CENTRE.x, y: CENTRE.y - 18 }, shortened(node)),
  );
  at('drawing').replaceChildren(drawn);
}

const shortened = (name) => (name.length > 24 ? `${name.slice(0, 23)}…` : name);
const roundTrip = ({ rttMs }) => (rttMs === undefined ? '' : `, ${rttMs.toFixed(1)} ms`);

function showFacts(status) {
  const { agent, lease, store, underlay, backend, pods } = status;
  const facts = [
    ['Agent', `weft ${agent.version ?? 'unknown'}`],
    ['Subnet', lease.subnets.join(', ')],
    [
      'Lease',
      [lease.state, lease.secondsLeft === undefined ? '' : `${lease.secondsLeft} s left`]
        .filter(Boolean)
        .join(', '),
    ],
    ['Store', store],
    [
      'Underlay',
      underlay ? `${underlay.interface} ${underlay.addresses.join(', ')}, MTU ${underlay.mtuBytes}` : 'none',
    ],
    ['Backend', [backend.type, ...backend.devices].join(', ')],
    [
      'Pods',
      pods.addressesFree === undefined
        ? `${pods.running}`
        : `${pods.running}, ${pods.addressesFree} addresses free`,
    ],
    [
      'Versions',
      status.otherVersions.length ? `peers run ${status.otherVersions.join(', ')}` : 'all peers run this one',
    ],
  ];
  at('facts').tBodies[0].replaceChildren(
    ...facts.map(([name, value]) => {
      const row = element('tr');
      row.append(element('th', name), element('td', value));
      return row;
    }),
  );
}

function showPeers({ peers }) {
  at('peers').tBodies[0].replaceChildren(
    ...peers.map((peer) => {
      const row = element('tr');
      row.append(
        ...[peer.name, peer.subnet, peer.address, peer.path].map((text) => element('td', text)),
        element('td', peer.reason ? `${peer.state}: ${peer.reason}` : peer.state, peer.state),
        element('td', peer.rttMs === undefined ? '' : `${peer.rttMs.toFixed(1)} ms`),
      );
      return row;
    }),
  );
}

function showProblems(problems) {
  const section = at('problems');
  section.hidden = problems.length === 0;
  section
    .querySelector('ul')
    .replaceChildren(
      ...problems.map(({ severity, code, text }) => element('li', `${code}: ${text}`, severity)),
    );
}

function showEvents(events) {
  at('events').replaceChildren(
    ...events.toReversed().map(({ time, level, event, msg, detail }) => {
      const line = element('li', '', level === 'warn' ? 'warning' : level);
      line.append(
        element('time', `${time.slice(11, 19)} `),
        `${msg} `,
        element('small', `${event} ${detail}`),
      );
      return line;
    }),
  );
}

function showReady(ready) {
  const line = at('ready');
  line.textContent = ready ? 'ready' : 'not ready';
  line.className = ready ? 'yes' : 'no';
}

function show({ ready, problems, status, reason, events }) {
  showReady(ready);
  showProblems(
    reason === undefined ? problems : [...problems, { severity: 'error', code: 'status', text: reason }],
  );
  showEvents(events);
  if (status === undefined) return;
  at('node').textContent = status.node;
  document.title = `weft ${status.node}`;
  showTopology(status);
  showFacts(status);
  showPeers(status);
}

const source = new EventSource('stream');
source.addEventListener('message', ({ data }) => {
  at('connection').textContent = '';
  show(JSON.parse(data));
});
source.addEventListener('error', () => {
  at('connection').textContent = 'the agent does not answer; what is shown is old; trying again';
});
