// The wire to the server: acts go out, events come in; after a break it is joined again.

const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 5000;

export class Connection {
  constructor(onEvent, onState) {
    this.onEvent = onEvent;
    this.onState = onState;
    this.pause = FIRST_PAUSE;
  }

  open(name, person) {
    const query = new URLSearchParams({ name, person: person ?? "" });
    this.socket = new WebSocket(`ws://${location.host}/tab?${query}`);
    this.socket.addEventListener("message", ({ data }) => {
      const event = JSON.parse(data);
      if (event.kind === "welcome") {
        this.pause = FIRST_PAUSE;
        person = event.me.id;
        this.onState(true);
      }
      this.onEvent(event);
    });
    this.socket.addEventListener("close", () => {
      this.onState(false);
      setTimeout(() => this.open(name, person), this.pause);
      this.pause = Math.min(2 * this.pause, LONGEST_PAUSE);
    });
  }

  /** Do something; false if there is no connection. */
  act(what, details = {}) {
    if (this.socket.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify({ do: what, ...details }));
    return true;
  }
}
