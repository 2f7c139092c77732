//! A real PostgreSQL for tests: a cluster of its own in a temporary folder, under an ordinary user, reached by a unix
//! socket only, gone with the value.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use postgres::{Client, NoTls};

/// A running cluster.
pub struct Cluster {
    server: Child,
    folder: tempfile::TempDir,
    /// Names the socket's file, also where no port is listened on.
    port: u16,
}

/// Puts files into the data folder and returns settings.
pub type Prepare<'p> = &'p dyn Fn(&Path) -> std::io::Result<Vec<String>>;

const PATIENCE: Duration = Duration::from_secs(60);
const USER: &str = "watchkeep";

impl Cluster {
    /// Starts one.
    ///
    /// Errors: in words that say what to install where something is missing.
    pub fn start() -> Result<Self, String> {
        Self::start_with(5432, &|_| Ok(vec!["listen_addresses=".to_owned()]))
    }

    /// Starts one after `prepare` was given the data folder, with the settings that it returns (`name=value`). Without
    /// `listen_addresses` among them the server listens on `port` of loopback too.
    pub fn start_with(port: u16, prepare: Prepare<'_>) -> Result<Self, String> {
        let programs = programs()?;
        let folder =
            tempfile::Builder::new().prefix("wk-pg-").tempdir().map_err(|error| format!("make a folder: {error}"))?;
        let user = ordinary_user()?;
        if let Some(user) = &user {
            std::os::unix::fs::chown(folder.path(), Some(user.uid), Some(user.gid))
                .map_err(|error| format!("give {} to {}: {error}", folder.path().display(), user.name))?;
        }
        let data = folder.path().join("data");
        let made = as_user(user.as_ref(), &programs.join("initdb"))
            .args(["--username", USER, "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--pgdata"])
            .arg(&data)
            .current_dir(folder.path())
            .output()
            .map_err(|error| format!("run initdb: {error}"))?;
        if !made.status.success() {
            return Err(format!("initdb failed: {}", String::from_utf8_lossy(&made.stderr)));
        }
        let settings = prepare(&data).map_err(|error| format!("prepare {}: {error}", data.display()))?;
        let log = std::fs::File::create(folder.path().join("log")).map_err(|error| format!("make its log: {error}"))?;
        let server = as_user(user.as_ref(), &programs.join("postgres"))
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(folder.path())
            // Tests kill processes, not the machine: what the server wrote, the kernel has.
            .args(["-p", &port.to_string(), "-c", "fsync=off", "-c", "max_connections=50"])
            .args(settings.iter().flat_map(|setting| ["-c", setting]))
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| format!("run postgres: {error}"))?;
        let mut cluster = Self { server, folder, port };
        cluster.wait()?;
        Ok(cluster)
    }

    /// Makes an empty database; its address, as the store takes it.
    pub fn database(&self, name: &str) -> Result<String, String> {
        let made =
            self.client("postgres").and_then(|mut client| client.batch_execute(&format!("CREATE DATABASE \"{name}\"")));
        made.map_err(|error| format!("create database \"{name}\": {error}"))?;
        Ok(self.address(name))
    }

    /// The process id of the server.
    pub fn id(&self) -> u32 {
        self.server.id()
    }

    /// Cuts every connection to a database, as a server that fails over does.
    pub fn cut(&self, name: &str) -> Result<(), String> {
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1";
        let cut = self.client("postgres").and_then(|mut client| client.execute(sql, &[&name]));
        cut.map(drop).map_err(|error| format!("cut the connections to \"{name}\": {error}"))
    }

    fn address(&self, name: &str) -> String {
        format!("postgres://{USER}@/{name}?host={}&port={}", self.folder.path().display(), self.port)
    }

    fn client(&self, name: &str) -> Result<Client, postgres::Error> {
        Client::connect(&self.address(name), NoTls)
    }

    fn wait(&mut self) -> Result<(), String> {
        let until = Instant::now() + PATIENCE;
        loop {
            let last = match self.client("postgres") {
                Ok(_) => return Ok(()),
                Err(error) => error.to_string(),
            };
            let ended = self.server.try_wait().map_err(|error| format!("look after postgres: {error}"))?;
            if ended.is_some() || Instant::now() > until {
                let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                return Err(format!("postgres did not start: {last}; its log:\n{log}"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // SIGQUIT is the server's own "stop at once, and take the children with you".
        let asked = Command::new("kill").args(["-QUIT", &self.server.id().to_string()]).status();
        let until = Instant::now() + Duration::from_secs(10);
        while asked.is_ok() && Instant::now() < until {
            if matches!(self.server.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.server.kill().ok();
        self.server.wait().ok();
    }
}

/// Where initdb and postgres are: Debian's folder of the newest version, else on the PATH.
fn programs() -> Result<PathBuf, String> {
    let has_both = |folder: &PathBuf| folder.join("initdb").is_file() && folder.join("postgres").is_file();
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.flatten().map(|entry| entry.path().join("bin")).filter(has_both).collect())
        .unwrap_or_default();
    versions.sort();
    let on_path = std::env::var_os("PATH").and_then(|path| std::env::split_paths(&path).find(has_both));
    versions.pop().or(on_path).ok_or_else(|| {
        "no PostgreSQL server is installed: neither /usr/lib/postgresql/*/bin nor the PATH has initdb and postgres; \
         run: apt-get install -y --no-install-recommends postgresql"
            .to_owned()
    })
}

struct User {
    name: String,
    uid: u32,
    gid: u32,
}

/// Whom the server runs as: root may not, so `postgres` or `nobody`; anybody else as they are.
fn ordinary_user() -> Result<Option<User>, String> {
    let we_are = std::fs::metadata("/proc/self").map_err(|error| format!("ask who we are: {error}"))?.uid();
    if we_are != 0 {
        return Ok(None);
    }
    let passwd = std::fs::read_to_string("/etc/passwd").map_err(|error| format!("read /etc/passwd: {error}"))?;
    let find = |wanted: &str| passwd.lines().find_map(|line| user(line).filter(|user| user.name == wanted));
    let found = find("postgres").or_else(|| find("nobody"));
    found.map(Some).ok_or_else(|| "there is no user \"postgres\" or \"nobody\" to run PostgreSQL as".to_owned())
}

fn user(line: &str) -> Option<User> {
    let mut fields = line.split(':');
    let name = fields.next()?.to_owned();
    let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(User { name, uid, gid })
}

/// The program as that user; it dies with the thread that starts it, so that a test that is killed leaves none behind.
fn as_user(user: Option<&User>, program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    if let Some(user) = user {
        command.arg(format!("--reuid={}", user.uid)).arg(format!("--regid={}", user.gid)).arg("--clear-groups");
    }
    command.args(["--pdeathsig", "QUIT"]).arg("--").arg(program);
    command
}
