//! A controller of its own for each test, and a caller with a token.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::Duration;

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use watchkeep::access::ca::AGENT_LIFE;
use watchkeep::controller::{Controller, Options};
use watchkeep::core::clock;
use watchkeep_desk::InputBody;
use watchkeep_desk::input::{AgentChange, AgentEvent, AlertChange, AlertState, FoundItem, Fragment};

/// Nothing here takes longer, even on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The host of every test.
pub const HOST: &str = "web-1";

/// A rule, and a runbook that nothing starts by itself.
const RULES: &str = "\
groups:
  - name: own
    rules:
      - event: Broken
        match: '{kind=\"broken\"}'
        by: [instance]
        clear: '{kind=\"mended\"}'
        annotations: {summary: '{{ $labels.instance }} is broken'}
        incident: {ci: {class: host, instance: $labels.instance}}
";
const RUNBOOK: &str = "\
runbook: look
title: Look at it
targets: incident.ci.host
steps:
  - name: Ask for the kernel
    run: [uname, -a]
    idempotent: true
";

/// A controller that runs, and its data.
pub struct World {
    pub controller: Controller,
    pub admin: Caller,
    folder: TempDir,
}

/// Whoever asks.
#[derive(Clone)]
pub struct Caller {
    pub url: String,
    pub token: Option<String>,
    pub http: reqwest::Client,
}

/// A status with the body, null where that is no JSON.
pub struct Answer {
    pub status: StatusCode,
    pub kind: String,
    pub body: Value,
}

impl World {
    /// A controller with a rule and a runbook, on free ports.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = folder.path().join("config");
        for (path, text) in [("rules/own.yaml", RULES), ("runbooks/look.yaml", RUNBOOK)] {
            let path = config.join(path);
            fs::create_dir_all(path.parent().expect("it has one")).expect("made");
            fs::write(path, text).expect("written");
        }
        Self::start_in(folder).await
    }

    /// Goes on from what is there.
    pub async fn start_in(folder: TempDir) -> Self {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| {
            rustls::crypto::aws_lc_rs::default_provider().install_default().expect("nobody was faster");
        });
        let free = "127.0.0.1:0".parse().expect("an address");
        let options = Options {
            data: folder.path().to_owned(),
            listen: free,
            mqtt_listen: free,
            enrol_listen: free,
            broker: None,
            broker_ca: None,
            database: None,
            names: Vec::new(),
            take_over: false,
            agent_certificate_life: AGENT_LIFE,
        };
        let controller = Controller::start(options).await.expect("the controller starts");
        let token = fs::read_to_string(controller.data.token()).expect("the first token");
        let http = reqwest::Client::builder().timeout(PATIENCE).build().expect("a client");
        let url = format!("http://{}", controller.addresses.http);
        Self { controller, admin: Caller { url, token: Some(token), http }, folder }
    }

    /// Stops it and gives its data.
    pub async fn stop(self) -> TempDir {
        self.controller.stop().await;
        self.folder
    }

    pub fn path(&self, below: &str) -> PathBuf {
        Path::new(self.folder.path()).join(below)
    }

    /// A caller of this role.
    pub async fn caller(&self, role: &str) -> Caller {
        let made = self.admin.post("/api/v1/api-tokens", &json!({"name": role, "role": role})).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
        Caller { token: made.body["token"].as_str().map(str::to_owned), ..self.admin.clone() }
    }

    /// Enrols the host and lets an incident be opened for it; its id.
    pub async fn incident(&self) -> String {
        let at = clock::now();
        let enrolled =
            AgentEvent::Enrolled { serial: "01".to_owned(), labels: BTreeMap::new(), token: "test".to_owned() };
        let host = FoundItem {
            class: "host".to_owned(),
            key: HOST.to_owned(),
            attributes: BTreeMap::from([("hostname".to_owned(), HOST.to_owned())]),
            relations: Vec::new(),
        };
        let labels = [("alertname", "Broken"), ("instance", HOST)];
        let bodies = [
            InputBody::Agent(AgentChange { agent: HOST.to_owned(), happened_at: at, what: enrolled }),
            InputBody::Inventory(Fragment {
                agent: HOST.to_owned(),
                section: "host".to_owned(),
                whole: true,
                items: vec![host],
                gone: Vec::new(),
                happened_at: at,
            }),
            InputBody::Alert(AlertChange {
                rule: "Broken".to_owned(),
                labels: labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
                annotations: BTreeMap::from([("summary".to_owned(), format!("{HOST} is broken"))]),
                state: AlertState::Firing,
                happened_at: at,
                agent: Some(HOST.to_owned()),
                reason: String::new(),
                evidence: Vec::new(),
            }),
        ];
        for body in bodies {
            self.controller.state.core.ask(body).await.expect("the desk takes it");
        }
        let open = self.admin.get("/api/v1/incidents").await;
        open.body["items"][0]["id"].as_str().unwrap_or_else(|| panic!("one is open: {}", open.body)).to_owned()
    }

    /// Leaves `count` facts: the stop switch, on and off.
    pub async fn facts(&self, count: usize) {
        for number in 0..count {
            let body = json!({"on": number % 2 == 0, "note": format!("fact {number}")});
            let answer = self.admin.post("/api/v1/stop-switch", &body).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        }
    }
}

impl Caller {
    pub fn with(&self, token: Option<&str>) -> Self {
        Self { token: token.map(str::to_owned), ..self.clone() }
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        Answer::of(self.request(Method::POST, path).json(body)).await
    }
}

impl Answer {
    pub async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.expect("the controller answers");
        let status = response.status();
        let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.to_owned();
        let text = response.text().await.expect("a body");
        Self { status, kind, body: serde_json::from_str(&text).unwrap_or_default() }
    }

    /// That this is a problem of this status and code whose words hold `says`.
    #[track_caller]
    pub fn is_problem(&self, status: u16, code: &str, says: &str) {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        assert_eq!(self.kind, "application/problem+json", "{}", self.body);
        assert_eq!((&self.body["status"], &self.body["code"]), (&json!(status), &json!(code)), "{}", self.body);
        let detail = self.body["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(says), "\"{detail}\" does not say \"{says}\"");
    }
}
