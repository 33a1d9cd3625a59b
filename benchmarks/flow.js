// Watches what a page paints of one source of numbers, and does in the page what others do from a kernel. All times
// are milliseconds since 1970, as the kernel of the same machine has them.
(() => {
  const { stroke, drawImage } = CanvasRenderingContext2D.prototype;
  const now = () => performance.timeOrigin + performance.now();
  let watched = null;

  const note = () => {
    const state = watched.read();
    if (state === watched.last) {
      return;
    }
    watched.last = state;
    const { states } = watched;
    // the first frame is the one that shows it, the second begins when that one is done
    requestAnimationFrame(() => requestAnimationFrame(() => states.push([state, now()])));
  };

  CanvasRenderingContext2D.prototype.stroke = function (...args) {
    stroke.apply(this, args);
    if (watched !== null && this.strokeStyle === watched.mark) {
      note();
    }
  };

  CanvasRenderingContext2D.prototype.drawImage = function (image, ...args) {
    drawImage.call(this, image, ...args);
    if (watched !== null && [image.width, "any image"].includes(watched.mark)) {
      note();
    }
  };

  const source_of = (document) => document.get_model_by_name("source");
  const title_of = (document) => document.get_model_by_name("plot").title;
  const rows = (first, count) => {
    const x = Float64Array.from({ length: count }, (_, at) => first + at);
    return { x, y: x.map((value) => value % 97) };
  };
  const later = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
  // a task of its own, which setTimeout delays by 4 ms
  const next_task = () =>
    new Promise((done) => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => {
        port1.close();
        done();
      };
      port2.postMessage(null);
    });

  globalThis.__flow = {
    now,
    note,
    // From now on: each state that `read` gives when something of this mark is painted, a colour that is stroked or
    // the width of an image that is drawn or "any image", with the time when it was on the screen.
    watch(mark, read) {
      watched = { mark, read, last: undefined, states: [] };
    },
    states: () => watched.states,
    painted: (state) => watched.states.findLast(([found]) => found === state)?.[1] ?? null,
    last: (column) => column.at(-1),

    // What is wrong with the columns of a stream whose newest row is `total - 1`.
    faults(document, total, rollover) {
      const { x, y } = source_of(document).data;
      const first = Math.max(0, total - rollover);
      const seen = new Set(x);
      let [missing, disordered, wrong] = [0, 0, Math.abs(x.length - y.length)];
      for (let row = first; row < total; row++) {
        missing += seen.has(row) ? 0 : 1;
      }
      for (let at = 0; at < x.length; at++) {
        disordered += at > 0 && !(x[at] > x[at - 1]) ? 1 : 0;
        wrong += x[at] >= first && x[at] < total && y[at] === x[at] % 97 ? 0 : 1;
      }
      return { rows: x.length, missing, duplicates: x.length - seen.size, disordered, wrong };
    },

    // -- the floor: the same work with no kernel ---------------------------------------------------------------

    async stream(document, { how, count, rollover, updates, hertz }) {
      const source = source_of(document);
      const started = now();
      let last = started;
      for (let number = 0; number < updates; number++) {
        if (how === "rate") {
          await later(started + (1000 * number) / hertz - now());
        } else if (how === "loop") {
          await next_task();
        }
        last = now();
        source.stream(rows(number * count, count), rollover);
      }
      return { started, last, finished: now() };
    },
    made: null,
    // Made before they are timed, and before garbage is collected.
    make_points(count, number) {
      const [x, y] = [new Float64Array(count), new Float64Array(count)];
      for (let at = 0; at < count; at++) {
        x[at] = (100 * at) / (count - 1);
        y[at] = Math.sin(x[at]);
      }
      y[count - 1] = number;
      this.made = { x, y };
    },
    make_image(side, number) {
      const values = new Float64Array(side * side);
      for (let at = 0; at < values.length; at++) {
        values[at] = (at + number) % 1000;
      }
      values[values.length - 1] = number;
      const { ndarray } = globalThis.Bokeh.require("core/util/ndarray");
      this.made = { image: [ndarray(values.buffer, { dtype: "float64", shape: [side, side] })] };
    },
    replace(document) {
      const { made } = this;
      this.made = null;
      const started = now();
      source_of(document).data = made;
      return started;
    },
    follow_slider(document) {
      const slider = document.get_model_by_name("slider");
      slider.properties.value.change.connect(() => {
        title_of(document).text = `value ${slider.value}`;
      });
    },
    async set_notes(document, count, interval) {
      const note = document.get_model_by_name("note");
      for (let number = 0; number < count; number++) {
        note.start = number;
        await later(interval);
      }
    },

    // -- the page's own part of a round trip -------------------------------------------------------------------

    titles: [],
    record_titles(document) {
      const title = title_of(document);
      title.properties.text.change.connect(() => this.titles.push([title.text, now()]));
    },
    // Sets the slider; gives the milliseconds until the title says so, null after `give_up`.
    slide(document, value, give_up) {
      const title = title_of(document);
      const wanted = `value ${value}`;
      return new Promise((done) => {
        const started = now();
        const timer = setTimeout(() => settle(null), give_up);
        const changed = () => title.text === wanted && settle(now() - started);
        const settle = (elapsed) => {
          clearTimeout(timer);
          title.properties.text.change.disconnect(changed);
          done(elapsed);
        };
        title.properties.text.change.connect(changed);
        document.get_model_by_name("slider").value = value;
      });
    },
    // Many events of the slider in a given time, with clicks between them; gives the time of the last.
    async burst(bokeh, document, { first, events, clicks, milliseconds }) {
      const slider = document.get_model_by_name("slider");
      const button = document.get_model_by_name("button");
      const { ButtonClick } = bokeh.require("core/bokeh_events");
      const started = now();
      let last = started;
      let clicked = 0;
      for (let number = 0; number < events; number++) {
        await later(started + (milliseconds * number) / events - now());
        for (; clicked < (clicks * (number + 1)) / events; clicked++) {
          button.trigger_event(new ButtonClick());
        }
        last = now();
        slider.value = first + number;
      }
      return { started, last };
    },

    // -- a comm of its own: the transfer alone -----------------------------------------------------------------

    // Its messages become states of the numbers that they carry, at the time when the page has them.
    listen(path, target) {
      this.watch("", () => null);
      __notebook_harness.kernel(path).registerCommTarget(target, (comm) => {
        comm.onMsg = ({ content, buffers }) => {
          const size = buffers.reduce((sum, buffer) => sum + buffer.byteLength, 0);
          watched.states.push([size > 0 ? content.data.number : null, now()]);
        };
      });
    },
  };
})();
