//! A whole controller in this process, over a database of the test's choosing.
//!
//! Threads, broker, API, outbox: all of it is the real thing; only that the test holds the database, and can look and act
//! without a connection between.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Once;

use anyhow::{Context, Result, anyhow};
use tokio::runtime::Runtime;
use watchkeep::access::ca::AGENT_LIFE;
use watchkeep::access::enrolment_tokens::{self, NewToken};
use watchkeep::access::random;
use watchkeep::controller::{Controller, Options};
use watchkeep::core::clock;
use watchkeep::core::handle::{Answer, AskError};
use watchkeep::store::{Database, StoreError, Tx};
use watchkeep_desk::input::{Act, ActBody};

/// How long a token for one host holds, milliseconds.
const TOKEN_MS: i64 = 600_000;

/// Runs until it is stopped.
pub struct Inside {
    // Before the folder: what runs in it ends first.
    controller: Controller,
    runtime: Runtime,
    data: PathBuf,
}

impl Inside {
    /// Starts a controller with its data in `data` and these files of the configuration directory, over `database`.
    pub fn start(data: &Path, files: &[(String, String)], database: Database) -> Result<Self> {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| {
            // A test that made a connection of its own before was faster.
            let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
        });
        for (path, content) in files {
            let path = data.join("config").join(path);
            fs::create_dir_all(path.parent().context("it lies in the configuration directory")?)?;
            fs::write(&path, content).with_context(|| format!("write {}", path.display()))?;
        }
        let free = "127.0.0.1:0".parse().context("an address")?;
        let options = Options {
            data: data.to_owned(),
            listen: free,
            mqtt_listen: free,
            enrol_listen: free,
            broker: None,
            broker_ca: None,
            database: None,
            names: Vec::new(),
            agent_certificate_life: AGENT_LIFE,
            take_over: false,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start the runtime")?;
        let controller = runtime.block_on(Controller::start_over(options, database)).context("start the controller")?;
        Ok(Self { controller, runtime, data: data.to_owned() })
    }

    /// A token with which one host may enrol.
    pub fn enrolment_token(&self) -> Result<String> {
        let now = clock::now().0;
        let new =
            NewToken { labels: [].into(), uses_max: 1, expires_at: now + TOKEN_MS, created_by: "a test".to_owned() };
        let state = &self.controller.state;
        let (drawn, fingerprint, url) = ((random(), random()), state.ca_fingerprint, state.enrol_url.clone());
        let made = state.write(move |tx| enrolment_tokens::create(tx, &new, drawn, (fingerprint, &url), now));
        let token = self.runtime.block_on(made).map_err(|problem| anyhow!("make a token: {}", problem.detail))?;
        Ok(token.to_text())
    }

    /// Reads from the store, as the API does.
    pub fn read<T>(&self, work: impl FnMut(&mut dyn Tx) -> Result<T, StoreError>) -> Result<T> {
        self.controller.state.readers.read(work).context("read the store")
    }

    /// A person's act, under the id of its request.
    pub fn act(&self, request: &str, act: ActBody) -> Result<Answer, AskError> {
        let act = Act { who: "ann".to_owned(), request: request.to_owned(), act };
        self.runtime.block_on(self.controller.state.core.act(act))
    }

    /// Inputs that were set aside since the start.
    pub fn set_aside(&self) -> u64 {
        self.controller.set_aside()
    }

    /// The input log.
    pub fn inputs(&self) -> PathBuf {
        self.data.join("inputs")
    }

    /// Drains and stops.
    pub fn stop(self) {
        self.runtime.block_on(self.controller.stop());
    }
}
