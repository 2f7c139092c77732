use super::format;

fn formatted(text: &str) -> String {
    let written = format("t.yaml", text).unwrap_or_else(|faults| panic!("{text}\n{faults}"));
    let again = format("t.yaml", &written).unwrap_or_else(|faults| panic!("{written}\n{faults}"));
    assert_eq!(again, written, "formatting twice changes it");
    written
}

#[test]
fn a_rule_file_is_set_out_anew() {
    let text = r#"# Rules of the shop.

groups:
- name:   "shop"   # ours
  rules:
  # Slow is worse than down.
  - annotations:
      summary: '{{ $labels.job }} is slow'   # for people
      description: It takes {{ $value }} at the median, and nobody waits for so long, which is why the shop sells
        less; look for a query that has become slow.

    labels: { severity:  warning,team: shop }
    expr: >-
      histogram_quantile(0.50, sum(rate(shop_seconds_bucket{ code!~'5..' }[300s])) by (job,le))>1
        and on(job) sum by(job)(rate(shop_seconds_count[5m]))>0.10
    # ten minutes


    for: 10m
    alert:   ShopSlow
    # the end of ShopSlow
  # About the next one.
  - {alert: ShopDown, expr: 'up{job="shop"}==0', for: 1m, labels: {severity: critical}}
  - record: job:up:sum
    expr: |
      # who is there
      sum by (job) (up)
# the end
"#;
    insta::assert_snapshot!(formatted(text), @r#"
    # Rules of the shop.

    groups:
      - name: "shop" # ours
        rules:
          # Slow is worse than down.
          - alert: ShopSlow
            expr: |
              histogram_quantile(0.50, sum by (job, le) (rate(shop_seconds_bucket{code!~"5.."}[5m]))) > 1
              and on (job)
              sum by (job) (rate(shop_seconds_count[5m])) > 0.10
            # ten minutes
            for: 10m
            labels: {severity: warning, team: shop}
            annotations:
              summary: "{{ $labels.job }} is slow" # for people
              description: >-
                It takes {{ $value }} at the median, and nobody waits for so long, which is why the shop sells less; look
                for a query that has become slow.
            # the end of ShopSlow

          # About the next one.
          - {alert: ShopDown, expr: 'up{job="shop"} == 0', for: 1m, labels: {severity: critical}}

          - record: job:up:sum
            expr: |
              # who is there
              sum by (job) (up)
    # the end
    "#);
}

/// What is set out, and how; a row whose second text is empty stays as it is.
#[test]
fn layouts_are_chosen_by_what_they_hold() {
    let table = [
        ("", ""),
        ("# only a comment\n", ""),
        ("---\n# after the mark\na: b\n", ""),
        ("a: 'it''s'\n", "a: \"it's\"\n"),
        ("a: 'say \"no\"'\n", ""),
        ("a: \"tab\\t\"\n", ""),
        ("a: &x {b: c}\nd: *x\ne:\n  <<: *x\n", ""),
        ("a: &x\n    b: c\nd:\n- *x\n- &y\n    e: f\n", "a: &x\n  b: c\nd:\n  - *x\n  - &y\n    e: f\n"),
        ("a: |  # why\n    one\n      two\n\n    three\nb:\n", "a: | # why\n  one\n    two\n\n  three\nb:\n"),
        ("a: |2-\n    indented\n", ""),
        ("a: |+\n  kept\n\nb: c\n", "a: \"kept\\n\\n\"\n\nb: c\n"),
        ("a: >-\n  one\n  two\n\n  three\n", "a: >-\n  one two\n\n  three\n"),
        ("a: [one,\n    two,]\nb: { c: d }\n", "a: [one, two]\nb: {c: d}\n"),
        ("a: [one, # first\n    two]\n", "a:\n  - one # first\n  - two\n"),
        ("a: # why\n  # and how\n  b: c\n  # the end of a\nd: e\n", ""),
        ("a:\n- b\n# about c\nc: d\n", "a:\n  - b\n# about c\nc: d\n"),
        ("a:\n  # why\n  b\n", "# why\na: b\n"),
        ("a: b # why\n\n\n\nc: [] # none\n", "a: b # why\n\nc: [] # none\n"),
        ("- - a\n  - b\n-\n  c: d\n", "- - a\n  - b\n- c: d\n"),
        ("a: b\r\nc: d\r\n", "a: b\nc: d\n"),
        ("groups:\n  - name: g\n    rules:\n      - record: a:b\n        expr: '\"x\"'\n", ""),
        (
            "groups: [{name: g, rules: [{record: 'a:b', expr: \"{a='b'}\"}]}]\n",
            "groups: [{name: g, rules: [{record: \"a:b\", expr: '{a=\"b\"}'}]}]\n",
        ),
        (
            "groups:\n  - name: g\n    rules:\n      - expr: a  ==\n          b # why\n        alert: A\n",
            "groups:\n  - name: g\n    rules:\n      - alert: A\n        expr: a == b # why\n",
        ),
        ("groups:\n  - name: g\n    rules:\n      - alert: A\n        expr: not  promql\n", ""),
    ];
    for (text, expected) in table {
        let expected = if expected.is_empty() { text } else { expected };
        assert_eq!(formatted(text), expected, "{text}");
    }
}

#[test]
fn what_cannot_be_set_out_is_refused() {
    let table = [
        ("a: [", "t.yaml:1:4: this is not valid YAML"),
        ("a: !mine b\n", "t.yaml:1:10: a tag (!…) stands here"),
        ("? [a, b]\n: c\n", "a key is a list or a mapping"),
        ("a: b\n---\nc: d\n", "t.yaml:2:1: a second document"),
    ];
    for (text, part) in table {
        let said = format("t.yaml", text).expect_err(text).to_string();
        assert!(said.contains(part), "{text}: {said}");
    }
}

fn is_formatted(name: &str, text: &str) {
    let written = format(name, text).unwrap_or_else(|faults| panic!("{faults}"));
    let again = format(name, &written).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(again, written, "formatting {name} twice changes it");
    let rules = |text: &str| crate::load::load(&[(name.into(), text.to_owned())]).map_err(|faults| faults.faults.len());
    let (before, after) = (rules(text), rules(&written));
    assert_eq!(before.map(counts), after.map(counts), "{written}");
}

fn counts(book: crate::model::RuleBook) -> [usize; 4] {
    [book.alert_rules.len(), book.recording_rules.len(), book.event_rules.len(), book.runbooks.len()]
}

#[test]
fn every_file_here_keeps_its_meaning() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    let mut folders = vec![folder.join("packs"), folder.join("tests")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of the tree") {
            let path = entry.expect("an entry").path();
            match path.extension().and_then(|end| end.to_str()) {
                _ if path.is_dir() => folders.push(path),
                Some("yaml" | "good") => files.push(path),
                _ => {}
            }
        }
    }
    assert!(files.len() > 80, "{} files", files.len());
    for path in files {
        let text = std::fs::read_to_string(&path).expect("a file of the tree");
        if crate::yaml::parse(&crate::yaml::Source::new("t", text.clone())).is_ok() {
            is_formatted(&path.display().to_string(), &text);
        }
    }
}
