//! What a runbook does to a real host: a script, packages of a real apt, files; and what its policy keeps it from.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use watchkeep_tests::{Controller, Host, Setup, wait};

/// Allows the one script.
const POLICY: &str = "allow:
  - script: {sha256: SHA256}
  - package: {name: 'sample*', state: [present, latest, absent]}
  - file: {path: '/etc/sample.d/*', state: [file, absent]}
user: watchkeep-run
";
const RUNBOOK: &str = "runbook: RUNBOOK
parameters:
  version: {type: string, required: true}
steps:
STEPS";

#[test]
fn packages_files_and_scripts_do_what_the_policy_allows_and_no_more() -> Result<()> {
    let host = Host::boot("web-1")?;
    let content = "cat \"$1\"; id -un\n";
    let update = [
        ("package", "{name: sample, state: latest}"),
        ("file", "{path: /etc/sample.d/wanted.conf, content: \"wants {{ version }}\\n\", mode: 0640}"),
        ("script", "{content: \"cat \\\"$1\\\"; id -un\\n\", args: [/usr/share/sample/version]}"),
    ];
    let files = vec![
        runbook("have", &[("package", "{name: sample, state: present}")]),
        runbook("update", &update),
        runbook("remove", &[("package", "{name: [sample], state: absent}")]),
        runbook("reach", &[("file", "{path: /etc/passwd, state: absent}")]),
        runbook("other", &[("script", "{content: \"id -un\\n\"}")]),
    ];
    let controller = Controller::start(Setup { address: host.gateway().into(), files, ..Setup::default() })?;
    packages_alone(&host)?;
    publish(&host, "1.0")?;
    host.run(["mkdir", "/etc/sample.d"])?;
    host.install_agent(&controller.enrolment_token()?, &POLICY.replace("SHA256", &sha256_of(content.as_bytes())))?;
    controller.await_agent("web-1")?;

    host.run(["apt-get", "update"])?;
    let had = ran(&controller, "have", "succeeded")?;
    assert_eq!(installed(&host)?, "1.0");
    assert_eq!(had["journal"][0]["changed"], true, "{had:#}");
    let again = ran(&controller, "have", "succeeded")?;
    assert_eq!(again["journal"][0]["changed"], false, "{again:#}");

    // "latest" looks for itself what there is by now.
    publish(&host, "2.0")?;
    let updated = ran(&controller, "update", "succeeded")?;
    assert_eq!(installed(&host)?, "2.0");
    assert_eq!(host.run(["stat", "--format=%a %U", "/etc/sample.d/wanted.conf"])?, "640 root");
    assert_eq!(host.run(["cat", "/etc/sample.d/wanted.conf"])?, "wants two");
    assert_eq!(updated["journal"][2]["stdout"], "2.0\nwatchkeep-run\n", "{updated:#}");

    ran(&controller, "remove", "succeeded")?;
    ensure!(installed(&host).is_err(), "it is still installed");

    for (runbook, reason) in [
        ("reach", "no line of policy.yaml allows file /etc/passwd absent"),
        ("other", "no line of policy.yaml allows script"),
    ] {
        let refused = ran(&controller, runbook, "failed")?;
        ensure!(refused.to_string().contains(reason), "{refused:#}");
    }
    host.run(["test", "-s", "/etc/passwd"])?;
    Ok(())
}

fn runbook(name: &str, steps: &[(&str, &str)]) -> (String, String) {
    let line = |(action, how): &(&str, &str)| format!("  - {{name: {action}, {action}: {how}, timeout: 2m}}\n");
    let steps: String = steps.iter().map(line).collect();
    (format!("runbooks/{name}.yaml"), RUNBOOK.replace("RUNBOOK", name).replace("STEPS", &steps))
}

/// Runs it to its end, and gives the run's record.
fn ran(controller: &Controller, runbook: &str, state: &str) -> Result<Value> {
    let said = controller.ask(&["runbook", "run", runbook, "--agent", "web-1", "-p", "version=two", "-o", "json"])?;
    let begun: Value = serde_json::from_str(&said).with_context(|| said.clone())?;
    let id = begun["id"].as_str().with_context(|| said.clone())?.to_owned();
    wait::until(Duration::from_secs(120), &format!("{runbook} to be {state}"), || {
        let run = controller.api(&format!("/api/v1/runs/{id}"))?;
        ensure!(run["state"] == state, "{run:#}");
        Ok(run)
    })
}

/// Gives the helper what its sandbox keeps from package managers, and apt no source but one on the host itself.
fn packages_alone(host: &Host) -> Result<()> {
    let conf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/act-packages.conf");
    let folder = "/etc/systemd/system/watchkeep-act.service.d";
    host.run(["mkdir", "-p", folder, "/srv/repository"])?;
    host.copy_in(&conf, &format!("{folder}/packages.conf"))?;
    host.run(["sh", "-c", "rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/*"])?;
    host.write("/etc/apt/sources.list", "deb [trusted=yes] file:/srv/repository ./\n")
}

/// Puts this version of the package, built by dpkg-deb, into the host's repository.
fn publish(host: &Host, version: &str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (tree, built) = (folder.path().join("tree"), folder.path().join("sample.deb"));
    std::fs::create_dir_all(tree.join("DEBIAN"))?;
    std::fs::create_dir_all(tree.join("usr/share/sample"))?;
    let control = format!(
        "Package: sample\nVersion: {version}\nArchitecture: all\nMaintainer: Nobody <nobody@watchkeep.example>\n\
         Description: a package to be installed by a runbook\n"
    );
    std::fs::write(tree.join("DEBIAN/control"), &control)?;
    std::fs::write(tree.join("usr/share/sample/version"), format!("{version}\n"))?;
    let made = Command::new("dpkg-deb").args(["--build", "--root-owner-group"]).args([&tree, &built]).output()?;
    ensure!(made.status.success(), "dpkg-deb: {}", String::from_utf8_lossy(&made.stderr));
    let bytes = std::fs::read(&built)?;
    let name = format!("sample_{version}.deb");
    host.copy_in(&built, &format!("/srv/repository/{name}"))?;
    let hash = sha256_of(&bytes);
    let entry = format!("{control}Filename: ./{name}\nSize: {}\nSHA256: {hash}\n", bytes.len());
    host.write("/srv/repository/Packages", &entry)
}

fn sha256_of(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn installed(host: &Host) -> Result<String> {
    host.run(["dpkg-query", "--show", "--showformat=${Version}", "sample"])
}
