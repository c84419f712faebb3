//! A headless Chromium, driven by its DevTools protocol: JSON messages, each with a zero byte behind it, through a pipe.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// Longest time that anything is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// The browser, or what to do to have one.
pub fn chromium() -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let found = names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    found
        .into_iter()
        .find(|path| path.is_file())
        .ok_or_else(|| "no Chromium; tests/setup.sh installs it".to_owned())
}

/// A browser with one page.
pub struct Browser {
    process: Child,
    to: Option<ChildStdin>,
    from: Receiver<Value>,
    session: Option<String>,
    messages: u64,
    /// What the page has said, and nobody has asked for yet.
    events: Vec<Value>,
    _profile: TempDir,
}

impl Browser {
    pub fn start() -> Result<Self> {
        let profile = TempDir::new()?;
        // It reads from descriptor 3 and writes to 4.
        let mut process = Command::new("sh")
            .args(["-c", r#"exec 3<&0 4>&1 </dev/null >/dev/null; exec "$@""#, "sh"])
            .arg(chromium()?)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
            ])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-extensions"])
            .args(["--force-color-profile=srgb", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let stdout = process.stdout.take().ok_or("no standard output")?;
        let (sender, from) = channel();
        thread::spawn(move || {
            for message in BufReader::new(stdout).split(0).map_while(std::io::Result::ok) {
                let message = serde_json::from_slice(&message).unwrap_or(Value::Null);
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        let to = process.stdin.take();
        let mut browser =
            Browser { process, to, from, session: None, messages: 0, events: Vec::new(), _profile: profile };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }))?;
        let attached = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = browser.call("Target.attachToTarget", attached)?;
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}))?;
        }
        Ok(browser)
    }

    /// Sends a command, and returns its result.
    pub fn call(&mut self, method: &str, parameters: Value) -> Result<Value> {
        self.messages += 1;
        let id = self.messages;
        let mut message = json!({ "id": id, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let to = self.to.as_mut().ok_or("the browser is closed")?;
        to.write_all(&[message.to_string().as_bytes(), b"\0"].concat())?;
        loop {
            let answer = self.from.recv_timeout(PATIENCE).map_err(|_| format!("no answer to {method}"))?;
            match answer.get("id") {
                Some(found) if *found == id && answer.get("error").is_none() => {
                    return Ok(answer["result"].clone());
                }
                Some(found) if *found == id => return Err(format!("{method}: {}", answer["error"]).into()),
                _ => self.events.push(answer),
            }
        }
    }

    /// Opens a file in a window of so many pixels.
    pub fn open(&mut self, address: &str, width: u32, height: u32, dark: bool) -> Result<()> {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", size)?;
        let theme = if dark { "dark" } else { "light" };
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": theme }] });
        self.call("Emulation.setEmulatedMedia", features)?;
        // Away from the page before, which may differ in the fragment alone.
        for address in ["about:blank", address] {
            self.events.clear();
            self.call("Page.navigate", json!({ "url": address }))?;
            let start = Instant::now();
            while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
                let left = PATIENCE.checked_sub(start.elapsed()).ok_or("the page does not load")?;
                self.events.push(self.from.recv_timeout(left)?);
            }
        }
        Ok(())
    }

    /// What a piece of script comes to.
    pub fn script(&mut self, expression: &str) -> Result<Value> {
        let parameters = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.call("Runtime.evaluate", parameters)?;
        match answer.get("exceptionDetails") {
            Some(details) => Err(format!("{expression}: {details}").into()),
            None => Ok(answer["result"]["value"].clone()),
        }
    }

    /// Waits until a piece of script comes to a value, as it does some time after a click or a key.
    pub fn until(&mut self, expression: &str, expected: &Value) -> Result<()> {
        let start = Instant::now();
        loop {
            let found = self.script(expression)?;
            if found == *expected {
                return Ok(());
            }
            if start.elapsed() > PATIENCE {
                return Err(format!("{expression} is {found}, not {expected}").into());
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// A click of the mouse in the window.
    pub fn click(&mut self, x: f64, y: f64) -> Result<()> {
        for kind in ["mouseMoved", "mousePressed", "mouseReleased"] {
            let button = if kind == "mouseMoved" { "none" } else { "left" };
            let event = json!({ "type": kind, "x": x, "y": y, "button": button, "clickCount": 1 });
            self.call("Input.dispatchMouseEvent", event)?;
        }
        Ok(())
    }

    /// A click in the middle of the first element that a selector names.
    pub fn click_on(&mut self, selector: &str) -> Result<()> {
        let place = self.script(&format!(
            "(() => {{ const found = document.querySelector({selector:?}); \
             found.scrollIntoView({{ block: 'center', behavior: 'instant' }}); \
             const box = found.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; }})()"
        ))?;
        self.click(place[0].as_f64().ok_or("no place")?, place[1].as_f64().ok_or("no place")?)
    }

    /// A stroke of a key, by its name in the DOM and its virtual code.
    pub fn key(&mut self, name: &str, code: u32) -> Result<()> {
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({ "type": kind, "key": name, "code": name, "windowsVirtualKeyCode": code });
            if name == "Enter" && kind == "keyDown" {
                event["text"] = json!("\r");
            }
            self.call("Input.dispatchKeyEvent", event)?;
        }
        Ok(())
    }

    /// Everything that the page has asked for or complained of since it was opened: addresses of requests, messages,
    /// exceptions.
    pub fn events(&mut self) -> Result<(Vec<String>, Vec<String>)> {
        // Whatever is under way is here when the answer is.
        self.script("new Promise((done) => setTimeout(done, 100))")?;
        let (mut requests, mut complaints) = (Vec::new(), Vec::new());
        for event in &self.events {
            let parameters = &event["params"];
            match event["method"].as_str() {
                Some("Network.requestWillBeSent") => {
                    requests.push(parameters["request"]["url"].as_str().unwrap_or_default().to_owned());
                }
                Some("Runtime.exceptionThrown" | "Log.entryAdded" | "Runtime.consoleAPICalled") => {
                    complaints.push(parameters.to_string());
                }
                _ => {}
            }
        }
        Ok((requests, complaints))
    }

    /// A picture of the window, or of the whole page.
    pub fn screenshot(&mut self, path: &Path, whole: bool) -> Result<()> {
        let mut parameters = json!({ "format": "png" });
        if whole {
            let size = self.call("Page.getLayoutMetrics", json!({}))?["cssContentSize"].clone();
            let clip =
                json!({ "x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1 });
            parameters = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        }
        let picture = self.call("Page.captureScreenshot", parameters)?;
        let picture = BASE64_STANDARD.decode(picture["data"].as_str().unwrap_or_default())?;
        Ok(std::fs::write(path, picture)?)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.session = None;
        let closed = self.call("Browser.close", json!({}));
        // It ends when the pipe does, at the latest.
        self.to = None;
        if closed.is_err() {
            let _ = self.process.kill();
        }
        let _ = self.process.wait();
    }
}
