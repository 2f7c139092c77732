use std::collections::BTreeMap;
use std::io::Write as _;

use watchkeep_protocol::layout::Flag;

use super::*;
use crate::config::AgentConfig;
use crate::http::testing::{Server, exposition};

fn target(server: &Server, more: &str) -> Target {
    let text = format!(
        "interval: 1s\nscrape_configs:\n  - job_name: shop\n    scrape_timeout: 500ms\n    static_configs:\n      \
         - {{targets: [\"{}\"], labels: {{zone: a}}}}\n{more}",
        server.address
    );
    let config = AgentConfig::parse("agent.yaml", &text).expect("is fine");
    let (group, address) = config.scrape_configs[0].targets().next().expect("one target");
    Target::new(&config.scrape_configs[0], group, address, "web-3")
}

/// All series of a target that have a value, without the labels that every one has; `ended` for those that ended.
fn series(target: &Target) -> BTreeMap<String, f64> {
    let mut found = BTreeMap::new();
    for (block, row) in target.books().into_iter().flat_map(Book::pages) {
        let (names, metrics) = (&block.template.instance_labels, &block.template.metrics);
        for (place, value) in row.values.iter().enumerate() {
            let labels = names.iter().zip(&block.instances[place / metrics.len()].values);
            let own =
                [("instance", format!("web-3:{}", target.url.port)), ("job", "shop".into()), ("zone", "a".into())];
            let labels = labels.filter(|(name, value)| !own.contains(&(name.as_str(), (*value).clone())));
            let labels: Vec<String> = labels.map(|(name, value)| format!("{name}={value}")).collect();
            let name = format!("{}{{{}}}", metrics[place % metrics.len()].name, labels.join(","));
            match row.flags[place] {
                flag if flag == Flag::Read as u8 => _ = found.insert(name, *value),
                flag if flag == Flag::Ended as u8 => _ = found.insert(format!("ended {name}"), 0.0),
                _ => {}
            }
        }
    }
    assert!(found.remove("scrape_duration_seconds{}").is_some_and(|seconds| seconds > 0.0));
    found
}

fn expected(series: &[(&str, f64)]) -> BTreeMap<String, f64> {
    series.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
}

/// `up` and its like: up, scraped, taken, added.
fn told([up, scraped, taken, added]: [f64; 4]) -> BTreeMap<String, f64> {
    expected(&[
        ("up{}", up),
        ("scrape_samples_scraped{}", scraped),
        ("scrape_samples_post_metric_relabeling{}", taken),
        ("scrape_series_added{}", added),
    ])
}

#[tokio::test]
async fn a_scrape_brings_the_series_with_the_labels_of_job_instance_and_target() {
    let server = Server::exposing("# TYPE hits counter\nhits{path=\"/\"} 5\nhits{path=\"/x\"} 6\nload 0.5\n");
    let mut target = target(&server, "");
    target.read_once().await;
    let mut all = expected(&[("hits{path=/}", 5.0), ("hits{path=/x}", 6.0), ("load{}", 0.5)]);
    all.extend(told([1.0, 3.0, 3.0, 3.0]));
    assert_eq!(series(&target), all);
    let own: Vec<&str> = target.up.own().iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(own, ["instance", "job", "zone"]);
    target.read_once().await;
    all.extend(told([1.0, 3.0, 3.0, 0.0]));
    assert_eq!(series(&target), all);
    let asked = server.asked().remove(0);
    assert!(asked.starts_with("GET /metrics HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("Accept: application/openmetrics-text"), "{asked}");
    assert!(asked.contains("X-Prometheus-Scrape-Timeout-Seconds: 0.5\r\n"), "{asked}");
}

#[tokio::test]
async fn an_exporter_s_own_job_and_instance_are_renamed_or_honoured() {
    let text = "a{instance=\"x\",job=\"y\",exported_job=\"z\"} 1\nb 2\n";
    let server = Server::exposing(text);
    let mut renamed = target(&server, "");
    renamed.read_once().await;
    let found = series(&renamed);
    let name = "a{exported_exported_job=y,exported_instance=x,exported_job=z}";
    assert!(
        found.contains_key(name) || found.contains_key("a{exported_instance=x,exported_job=z,exported_exported_job=y}"),
        "{found:?}"
    );
    let mut honoured = target(&server, "    honor_labels: true\n");
    honoured.read_once().await;
    let found = series(&honoured);
    assert_eq!(
        (found.get("a{exported_job=z,instance=x,job=y}"), found.get("b{}")),
        (Some(&1.0), Some(&2.0)),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_target_that_fails_is_down_and_its_series_end_until_it_is_back() {
    let good = exposition("text/plain", "a 1\nb{c=\"d\"} 2\n");
    let server = Server::answering(move |number, stream| {
        let answer = match number {
            1 => "HTTP/1.1 503 No\r\nContent-Length: 4\r\n\r\na 1\n",
            2 => "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\na 1\n",
            _ => &good,
        };
        let _ = stream.write_all(answer.as_bytes());
    });
    let mut target = target(&server, "");
    target.read_once().await;
    let blocks: Vec<_> = target.series.pages().map(|(block, _)| block.clone()).collect();
    target.read_once().await;
    let mut ended = expected(&[("ended a{}", 0.0), ("ended b{c=d}", 0.0)]);
    ended.extend(told([0.0; 4]));
    assert_eq!(series(&target), ended, "an answer of status 503 is none, whatever it holds");
    target.read_once().await;
    assert_eq!(series(&target), told([0.0; 4]), "an answer that is cut is none; what ended ends once");
    target.read_once().await;
    let mut back = expected(&[("a{}", 1.0), ("b{c=d}", 2.0)]);
    back.extend(told([1.0, 2.0, 2.0, 0.0]));
    assert_eq!(series(&target), back);
    let again: Vec<_> = target.series.pages().map(|(block, _)| block.clone()).collect();
    assert_eq!(again, blocks, "in the layout that it had");
}

#[tokio::test]
async fn hostile_answers_cost_their_own_target_and_no_more() {
    let many: String = (0..20).map(|number| format!("a{{b=\"{number}\"}} 1\n")).collect();
    let flood = |_: usize, stream: &mut std::net::TcpStream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(b"# a comment, and another, and another\n").is_ok() {}
    };
    let servers = [
        (Server::saying("SSH-2.0-OpenSSH\r\n"), ""),
        (Server::exposing("<html>no exporter</html>\n"), ""),
        (Server::exposing("a 1\na{b=\"\u{1}\n"), ""),
        (Server::saying(b"HTTP/1.1 200 OK\r\n\r\na{b=\"\xff\xfe\"} 1\n".to_vec()), ""),
        (Server::saying("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f"), ""),
        (Server::saying(exposition("application/openmetrics-text", "a 1\n")), ""),
        (Server::exposing(&many), "    sample_limit: 19\n"),
        (Server::exposing(&many), "    body_size_limit: 200B\n"),
        (Server::exposing(&"x".repeat(100_000)), ""),
        (Server::answering(flood), "    body_size_limit: 1MB\n"),
        // Nothing is said at all; and a word now and then.
        (Server::answering(|_, _| std::thread::sleep(Duration::from_secs(3))), ""),
        (
            Server::answering(|_, stream| {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
                while stream.write_all(b"a 1\n").is_ok() {
                    std::thread::sleep(Duration::from_millis(20));
                }
            }),
            "",
        ),
    ];
    for (place, (server, more)) in servers.iter().enumerate() {
        let mut target = target(server, more);
        let began = Instant::now();
        target.read_once().await;
        assert_eq!(series(&target), told([0.0; 4]), "server {place}");
        assert!(began.elapsed() < Duration::from_secs(3), "server {place} took {:?}", began.elapsed());
    }
}

#[tokio::test]
async fn what_no_report_takes_is_left_out_and_counted() {
    let text = format!("good 1\nlong{{v=\"{}\"}} 2\n{}  3\n", "v".repeat(2000), "n".repeat(200));
    let mut target = target(&Server::exposing(&text), "");
    target.read_once().await;
    let mut all = expected(&[("good{}", 1.0)]);
    all.extend(told([1.0, 3.0, 1.0, 1.0]));
    assert_eq!(series(&target), all);
}

#[test]
fn a_target_of_the_host_itself_is_named_by_the_host() {
    for (host, name) in [
        ("localhost", "web-3:9187"),
        ("127.0.0.1", "web-3:9187"),
        ("127.8.9.1", "web-3:9187"),
        ("::1", "web-3:9187"),
        ("db-1.example", "db-1.example:9187"),
        ("10.0.0.1", "10.0.0.1:9187"),
        ("fd00::1", "[fd00::1]:9187"),
    ] {
        assert_eq!(named_by_host(host, 9187, "web-3"), name);
    }
}

#[test]
fn all_faults_of_scrape_configs_come_with_their_places() {
    let text = "interval: 15s\nscrape_configs:\n  - job_name: a\n    scrape_intervall: 5s\n    scrape_interval: 5s\n    \
                scrape_timeout: 20s\n    metrics_path: metrics\n    scheme: ftp\n    sample_limit: 0\n    \
                body_size_limit: lots\n    honor_labels: 1\n    basic_auth: {username: u, password: p}\n    \
                tls_config: {ca_file: ca.pem}\n    static_configs:\n      - targets: [\"a b:1\", \"c:99999\", d, d]\n        \
                labels: {__x: y}\n  - {job_name: a, static_configs: []}\n  - {scheme: http, static_configs: [{targets: [x]}]}\n";
    let faults = AgentConfig::parse("agent.yaml", text).expect_err("is full of faults").to_string();
    let expected = "agent.yaml:3:5: target \"a b:1\" of job \"a\" is no host:port\n\
         agent.yaml:3:5: target \"c:99999\" of job \"a\" is no host:port\n\
         agent.yaml:3:5: target \"d\" of job \"a\" stands there twice\n\
         agent.yaml:4:5: unknown key \"scrape_intervall\" in \"scrape_configs\"; did you mean \"scrape_interval\"?\n\
         agent.yaml:5:22: \"scrape_configs.scrape_interval\" is 5s, shorter than the agent's interval, 15s; samples travel with its reports\n\
         agent.yaml:6:21: \"scrape_configs.scrape_timeout\" is 20s, longer than the interval, 5s\n\
         agent.yaml:7:19: \"scrape_configs.metrics_path\" is \"metrics\"; begin it with / and write blanks as %20\n\
         agent.yaml:8:13: \"scrape_configs.scheme\" is \"ftp\"; write http or https\n\
         agent.yaml:9:19: \"scrape_configs.sample_limit\" is \"0\", not a number from 1 to 20000\n\
         agent.yaml:10:22: \"scrape_configs.body_size_limit\" is \"lots\"; write for example 512KB or 8MB, at most 64MB\n\
         agent.yaml:11:19: \"scrape_configs.honor_labels\" is \"1\"; write true or false\n\
         agent.yaml:12:31: \"scrape_configs.basic_auth\" holds a secret; put it in a file that only the agent reads, and name it as password_file\n\
         agent.yaml:13:27: \"scrape_configs.tls_config.ca_file\" is \"ca.pem\", which is no absolute path; begin it with /\n\
         agent.yaml:16:18: \"__x\" is no label name; letters, digits and _ are, not beginning with a digit or __\n\
         agent.yaml:17:5: job_name \"a\" is taken by a job above; names are unique\n\
         agent.yaml:17:5: job \"a\" has no targets; name them under static_configs\n\
         agent.yaml:18:5: a job without \"job_name\"";
    let sorted = |text: &str| text.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(sorted(&faults), sorted(expected));
}
