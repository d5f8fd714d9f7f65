// Signs a file in two steps: the gateway prepares and completes it, the helper on this machine has the key.
// `SigningHelper` and `SigningGateway` know nothing of the page below them and may be used in others.
"use strict";

(function () {
  // What was refused, by whichever side: `code` is stable, `vi` and `en` are for people.
  class Refusal extends Error {
    constructor(status, body) {
      super(body.code || String(status));
      this.status = status;
      this.code = body.code || "http." + status;
      this.vi = body.vi || this.code;
      this.en = body.en || this.code;
    }
  }

  const answer = async function (response) {
    if (response.status === 204) {
      return null;
    }
    let body = {};
    try {
      body = await response.json();
    } catch {
      // Whatever stands between may answer with pages of its own.
    }
    if (!response.ok) {
      throw new Refusal(response.status, body);
    }
    return body;
  };

  // `gateway signer` on this machine. The token of the pairing stays in this browser, for this page's origin.
  class SigningHelper {
    constructor(address = "http://127.0.0.1:28450") {
      this.address = address;
      this.place = "signing-helper " + address;
    }

    async call(method, path, body) {
      const headers = {};
      const token = localStorage.getItem(this.place);
      if (token) {
        headers.Authorization = "Bearer " + token;
      }
      if (body !== undefined) {
        headers["Content-Type"] = "application/json";
      }
      let response;
      try {
        response = await fetch(this.address + path, {
          method,
          headers,
          body: body === undefined ? undefined : JSON.stringify(body),
          credentials: "omit",
          cache: "no-store",
        });
      } catch {
        // A browser tells a page no more of it: no helper there, or one that does not know this page.
        throw new Refusal(0, { code: "signer.unreachable" });
      }
      return answer(response);
    }

    // The helper shows a code to the person at this machine.
    askForCode() {
      return this.call("POST", "/v1/pairing", {});
    }

    async pair(code) {
      const found = await this.call("POST", "/v1/pairing/code", { code: code.replace(/\s/g, "") });
      localStorage.setItem(this.place, found.token);
    }

    hello() {
      return this.call("GET", "/v1/hello");
    }

    state() {
      return this.call("GET", "/v1/state");
    }

    sign(certificate, toBeSigned, description) {
      const body = { certificate_sha256: certificate, to_be_signed: toBeSigned, description };
      return this.call("POST", "/v1/sign", body);
    }
  }

  // The gateway's API. Software with a server of its own makes these calls there, so that no browser has the key.
  class SigningGateway {
    constructor(key, address = "") {
      this.key = key;
      this.address = address;
    }

    async call(method, path, body) {
      const headers = { Authorization: "Bearer " + this.key, Accept: "application/json" };
      if (typeof body === "string") {
        headers["Content-Type"] = "application/json";
      }
      return answer(await fetch(this.address + path, { method, headers, body, credentials: "omit" }));
    }

    certificate(sha256) {
      return this.call("GET", "/api/v1/signing/certificates/" + sha256);
    }

    prepare(file, options) {
      const form = new FormData();
      form.append("options", JSON.stringify(options));
      form.append("file", file, "file");
      return this.call("POST", "/api/v1/signing", form);
    }

    complete(id, signature) {
      return this.call("POST", "/api/v1/signing/" + id + "/complete", JSON.stringify({ signature }));
    }

    cancel(id) {
      return this.call("DELETE", "/api/v1/signing/" + id);
    }

    async file(path) {
      const response = await fetch(this.address + path, { headers: { Authorization: "Bearer " + this.key } });
      return response.ok ? response.blob() : answer(response);
    }
  }

  // All of it: the signed file and what the gateway says of it.
  const signFile = async function (gateway, helper, file, certificate, options, description) {
    const prepared = await gateway.prepare(file, { ...options, certificate: certificate.pem });
    let signed;
    try {
      signed = await helper.sign(certificate.sha256, prepared.to_be_signed, description);
    } catch (error) {
      // It would wait for a signature that nobody is going to make.
      await gateway.cancel(prepared.id).catch(function () {});
      throw error;
    }
    const done = await gateway.complete(prepared.id, signed.signature);
    return { done, blob: await gateway.file(done.file) };
  };

  window.EdxmlSigning = { Refusal, SigningHelper, SigningGateway, signFile };

  // The page

  const page = document.querySelector("[data-signing]");
  if (!page) {
    return;
  }
  const find = function (selector) {
    return page.querySelector(selector);
  };
  const port = /^\d{1,5}$/.exec(new URLSearchParams(location.search).get("port") || "28450");
  const helper = new SigningHelper("http://127.0.0.1:" + (port ? port[0] : "28450"));
  const words = page.dataset;
  let certificates = [];

  const say = function (text, tone) {
    const status = find("[data-status]");
    status.textContent = text;
    status.className = "flash " + tone;
    status.hidden = false;
  };

  const explain = function (error) {
    if (error instanceof Refusal && error.code === "signer.unreachable") {
      say(words.absent, "bad");
      find("[data-help]").open = true;
    } else if (error instanceof Refusal) {
      say(words.lang === "vi" ? error.vi : error.en, "bad");
    } else if (error instanceof TypeError) {
      // All that `fetch` says of a connection that failed.
      say(words.unreached, "bad");
    } else {
      say(words.failed, "bad");
    }
  };

  // What is under way is not begun a second time.
  const once = function (button, act) {
    return async function () {
      if (button.disabled) {
        return;
      }
      button.disabled = true;
      try {
        await act();
      } finally {
        button.disabled = false;
      }
    };
  };

  const gateway = function () {
    return new SigningGateway(find("#key").value.trim());
  };

  const day = function (moment) {
    const [year, month, date] = new Date(new Date(moment).getTime() + 7 * 3600 * 1000).toISOString().slice(0, 10).split("-");
    return date + "/" + month + "/" + year;
  };

  // What the helper says of a certificate, and what the gateway does.
  const findingsOf = async function (certificate, now) {
    const found = certificate.findings.map(function (finding) {
      return { bad: finding.level === "error", text: finding[words.lang] };
    });
    const known = await gateway().certificate(certificate.sha256);
    if (!known.registered) {
      found.push({ bad: true, text: words.stranger });
    } else if (known.reason) {
      found.push({ bad: true, text: words.unusable });
    } else {
      found.push({ bad: false, text: words.registered });
    }
    if (Math.abs(new Date(now) - new Date(known.now)) > 120 * 1000) {
      found.push({ bad: false, text: words.clock });
    }
    return found;
  };

  const show = async function (state) {
    const list = find("[data-certificates]");
    for (const old of list.querySelectorAll("p")) {
      old.remove();
    }
    certificates = state.certificates;
    for (const certificate of certificates) {
      const findings = await findingsOf(certificate, state.now);
      const row = document.createElement("p");
      const label = document.createElement("label");
      const choice = document.createElement("input");
      choice.type = "radio";
      choice.name = "certificate";
      choice.value = certificate.sha256;
      choice.disabled = findings.some(function (finding) {
        return finding.bad;
      });
      choice.checked = !choice.disabled && !list.querySelector("input:checked");
      label.append(choice, " ", certificate.holder, " · ", words.ends, " ", day(certificate.not_after));
      row.append(label);
      const notes = [];
      for (const finding of findings) {
        const note = document.createElement("span");
        note.id = "finding-" + certificate.sha256.slice(0, 16) + "-" + notes.length;
        notes.push(note.id);
        note.className = finding.bad ? "note warn" : "note";
        note.textContent = finding.text;
        row.append(note);
      }
      choice.setAttribute("aria-describedby", notes.join(" "));
      list.append(row);
    }
    list.hidden = certificates.length === 0;
    const usable = list.querySelector("input:checked") !== null;
    find("[data-file]").hidden = !usable;
    if (state.trouble) {
      say(state.trouble[words.lang], "bad");
    } else if (!usable) {
      say(words.none, "bad");
    } else {
      say(words.choose, "calm");
    }
  };

  const check = async function () {
    if (find("#key").value.trim() === "") {
      say(words.keyMissing, "bad");
      find("#key").focus();
      return;
    }
    say(words.checking, "calm");
    try {
      await helper.hello();
      await show(await helper.state());
      find("[data-code]").hidden = true;
    } catch (error) {
      if (error instanceof Refusal && error.code === "signer.not_paired") {
        await helper.askForCode().catch(explain);
        find("[data-code]").hidden = false;
        find("#code").focus();
        say(words.pairing, "calm");
        return;
      }
      explain(error);
    }
  };

  const pair = async function () {
    try {
      await helper.pair(find("#code").value);
      find("#code").value = "";
      await check();
    } catch (error) {
      explain(error);
    }
  };

  const sign = async function () {
    const file = find("#file").files[0];
    const chosen = find("[name=certificate]:checked");
    const certificate = certificates.find(function (one) {
      return chosen && one.sha256 === chosen.value;
    });
    if (!file || !certificate) {
      say(file ? words.choose : words.fileMissing, "bad");
      find(file ? "[name=certificate]" : "#file").focus();
      return;
    }
    const isPdf = (await file.slice(0, 1024).text()).includes("%PDF-");
    const options = isPdf ? { kind: "pdf", pdf_form: find("#form").value } : { kind: "package" };
    if (isPdf && find("#number").value.trim()) {
      options.number = find("#number").value.trim();
    }
    say(words.waiting, "calm");
    find("[data-result]").hidden = true;
    try {
      const { done, blob } = await signFile(gateway(), helper, file, certificate, options, file.name.slice(0, 200));
      const link = find("[data-download]");
      URL.revokeObjectURL(link.href);
      link.href = URL.createObjectURL(blob);
      link.download = file.name.replace(/(\.[^.]*)?$/, ".signed$1");
      find("[data-result]").hidden = false;
      page.dataset.sha256 = done.sha256;
      page.dataset.file = done.file;
      say(words.done + " " + (done.stamped ? words.stamped : words.unstamped), "good");
      link.focus();
    } catch (error) {
      explain(error);
    }
  };

  const checkOnce = once(find("[data-check]"), check);
  const pairOnce = once(find("[data-pair]"), pair);
  find("[data-check]").addEventListener("click", checkOnce);
  find("[data-pair]").addEventListener("click", pairOnce);
  find("[data-sign]").addEventListener("click", once(find("[data-sign]"), sign));
  // What was signed before is not taken for what is chosen now.
  find("#file").addEventListener("change", function () {
    find("[data-result]").hidden = true;
  });
  find("[data-origin]").textContent = location.origin;
  // There is no form that a browser could send: what was typed goes where this script sends it, and nowhere else.
  const onEnter = function (field, act) {
    find(field).addEventListener("keydown", function (event) {
      if (event.key === "Enter" && !event.isComposing) {
        act();
      }
    });
  };
  onEnter("#key", checkOnce);
  onEnter("#code", pairOnce);
})();
