// Runs in every page of the harness before the page's own scripts. It drives JupyterLab and Notebook 7 through
// their application object instead of through clicks. It adds no listener and keeps no object of the page.
(() => {
  const pending = new Map();
  let restored = null;

  const find = (path) => {
    const app = window.jupyterapp;
    if (!app) {
      return null;
    }
    for (const widget of app.shell.widgets("main")) {
      if (widget.context?.path === path && widget.sessionContext) {
        return widget;
      }
    }
    return null;
  };

  const panel = (path) => {
    const found = find(path);
    if (!found) {
      throw new Error(`no notebook ${path} is open in this page`);
    }
    return found;
  };

  // Commands act on the selected cells of a notebook.
  const select = (path, index) => {
    const target = panel(path);
    if (!target.content.widgets[index]) {
      throw new Error(`the notebook has ${target.content.widgets.length} cells, none at index ${index}`);
    }
    target.content.deselectAll();
    target.content.activeCellIndex = index;
    return target;
  };

  // Which notebook is the current one follows the focus, later: so the command is told which one is meant.
  const execute = (command, target) => window.jupyterapp.commands.execute(command, { semanticWidget: target.id });

  const failure = (cell, index) => {
    const outputs = cell.outputs?.toJSON() ?? [];
    const error = outputs.find((output) => output.output_type === "error");
    return error && { index, ename: error.ename, evalue: error.evalue, traceback: error.traceback };
  };

  const frame = () => new Promise((done) => requestAnimationFrame(done));

  const within = async (promise, seconds, what) => {
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`${what} took more than ${seconds} s`)), 1000 * seconds);
    });
    try {
      return await Promise.race([promise, late]);
    } finally {
      clearTimeout(timer);
    }
  };

  globalThis.__notebook_harness = {
    // Polled, and by a poller that does not await: hence the flag.
    ready(path) {
      const app = window.jupyterapp;
      if (!app?.restored) {
        return false;
      }
      if (restored === null) {
        restored = false;
        app.restored.then(() => {
          restored = true;
        });
      }
      const found = restored ? find(path) : null;
      if (!found?.context.isReady || !found.sessionContext.isReady) {
        return false;
      }
      const kernel = found.sessionContext.session?.kernel;
      return kernel?.connectionStatus === "connected" && kernel.status === "idle";
    },
    isOpen: (path) => find(path) !== null,
    kernelId: (path) => panel(path).sessionContext.session?.kernel?.id ?? null,
    kernel: (path) => panel(path).sessionContext.session?.kernel ?? null,
    kernelStatus: (path) => panel(path).sessionContext.session?.kernel?.status ?? null,
    panelId: (path) => panel(path).id,
    cellCount: (path) => panel(path).content.widgets.length,
    cellId: (path, index) => panel(path).content.widgets[index].model.id,
    executionCount: (path, index) => panel(path).content.widgets[index].model.executionCount,

    start(path, index) {
      const target = select(path, index);
      const cell = target.content.widgets[index].model;
      const run = execute("notebook:run-cell", target).then((finished) => {
        const error = failure(cell, index);
        return { finished: finished !== false, error: error ?? null };
      });
      // Whoever waits gets the rejection; without a waiter it must not become a page error.
      run.catch(() => undefined);
      pending.set(`${path}#${cell.id}`, run);
    },
    async wait(path, index, seconds) {
      const key = `${path}#${panel(path).content.widgets[index].model.id}`;
      const run = pending.get(key);
      if (!run) {
        throw new Error(`cell ${index} was not started`);
      }
      const result = await within(run, seconds, `cell ${index}`);
      pending.delete(key);
      return result;
    },
    async runAll(path, seconds) {
      const target = panel(path);
      const finished = await within(execute("notebook:run-all-cells", target), seconds, "running all cells");
      for (const [index, cell] of target.content.widgets.entries()) {
        const error = failure(cell.model, index);
        if (error) {
          return { finished: true, error };
        }
      }
      return { finished: finished !== false, error: null };
    },

    setSource(path, index, source) {
      panel(path).content.widgets[index].model.sharedModel.setSource(source);
    },
    source: (path, index) => panel(path).content.widgets[index].model.sharedModel.getSource(),
    insert(path, index, source) {
      const shared = panel(path).content.model.sharedModel;
      shared.insertCell(index, { cell_type: "code", source, metadata: { trusted: true } });
    },
    setCells(path, sources) {
      const shared = panel(path).content.model.sharedModel;
      const cells = sources.map((source) => ({ cell_type: "code", source, metadata: { trusted: true } }));
      shared.transact(() => {
        shared.deleteCellRange(0, shared.cells.length);
        shared.insertCells(0, cells);
      });
      panel(path).content.activeCellIndex = 0;
    },
    // The scratch cell carries a mark in its metadata, so that a reload finds it again.
    scratch(path, source) {
      const shared = panel(path).content.model.sharedModel;
      let index = shared.cells.findIndex((cell) => cell.getMetadata("harness_scratch") === true);
      if (index < 0) {
        index = shared.cells.length;
        const metadata = { trusted: true, harness_scratch: true };
        shared.insertCell(index, { cell_type: "code", source, metadata });
      } else {
        shared.cells[index].setSource(source);
      }
      return index;
    },
    async command(path, index, command) {
      await execute(command, index === null ? panel(path) : select(path, index));
    },
    move(path, from, to) {
      panel(path).content.moveCell(from, to);
    },
    async scrollTo(path, index, align) {
      const notebook = panel(path).content;
      const block = align === "smart" ? "nearest" : align;
      // Cells that were never painted have estimated heights, and move this one when they are: until it rests.
      let before = null;
      for (let attempt = 0; attempt < 50; attempt++) {
        await notebook.scrollToItem(index, align);
        const node = notebook.widgets[index].node;
        if (notebook.notebookConfig.windowingMode !== "full") {
          node.scrollIntoView({ block });
        }
        await frame();
        await frame();
        const cell = node.getBoundingClientRect();
        const view = notebook.outerNode.getBoundingClientRect();
        const visible = cell.height > 0 && cell.bottom > view.top && cell.top < view.bottom;
        if (visible && before === cell.top) {
          return;
        }
        before = cell.top;
      }
      throw new Error(`cell ${index} does not come into view`);
    },

    async restart(path) {
      await panel(path).sessionContext.restartKernel();
    },
    async shutdown(path) {
      await panel(path).sessionContext.shutdown();
    },
    async interrupt(path) {
      await panel(path).sessionContext.session.kernel.interrupt();
    },
    async save(path) {
      await panel(path).context.save();
    },
    close(path) {
      panel(path).close();
    },
    async openDocument(path, mode) {
      await window.jupyterapp.commands.execute("docmanager:open", { path, options: { mode } });
    },
  };
})();
