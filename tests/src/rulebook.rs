//! A rule and a runbook for tests that count: an event with a number becomes an incident of its own, and the runbook
//! writes the number down, once a run.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// The event's kind.
pub const ORDERED: &str = "ordered";

const RULES: &str = r#"groups:
  - name: orders
    rules:
      - event: Ordered
        match: '{kind="ordered"}'
        count: 1
        within: 1m
        by: [number]
        clear_after: 1h
        labels: {severity: info}
        annotations: {summary: "order {{ $labels.number }}"}
        incident:
          key: [alertname, instance, number]
          ci: {class: host, instance: $labels.instance}
          resolve_after: 1m
        runbook:
          use: write-down
          with: {number: "{{ $labels.number }}"}
"#;

/// Not idempotent on purpose: a number that stands twice was carried out twice.
const RUNBOOK: &str = r#"runbook: write-down
title: Write the number down
parameters:
  number: {type: string, pattern: '^[0-9]+$', required: true}
targets: incident.ci.host
change: {type: standard, template: write-down}
guard:
  concurrency: {host: 1}
steps:
  - name: Write it down
    run: [PROGRAM, "{{ number }}"]
    timeout: 30s
"#;

/// The program that the runbook runs, and the book that it writes into.
pub struct Book<'a> {
    folder: &'a Path,
}

impl<'a> Book<'a> {
    /// Makes the program in `folder`, where the agent of this machine can run it.
    pub fn new(folder: &'a Path) -> Result<Self> {
        use std::os::unix::fs::PermissionsExt as _;
        let book = Self { folder };
        let script = format!("#!/bin/sh\necho \"$1\" >>{}\n", book.pages());
        fs::write(book.program(), script).context("write the program of the runbook")?;
        fs::set_permissions(book.program(), fs::Permissions::from_mode(0o755)).context("make it a program")?;
        fs::write(book.pages(), "").context("open the book")?;
        Ok(book)
    }

    /// The files of the configuration directory.
    pub fn configuration(&self) -> Vec<(String, String)> {
        let runbook = RUNBOOK.replace("PROGRAM", &self.program());
        vec![("rules/orders.yaml".to_owned(), RULES.to_owned()), ("runbooks/write-down.yaml".to_owned(), runbook)]
    }

    /// What the host must allow.
    pub fn policy(&self) -> String {
        format!("allow:\n  - run: {{argv: ['{}', '*']}}\nuser: root\n", self.program())
    }

    /// The numbers that were written down, in order.
    pub fn written(&self) -> Result<Vec<String>> {
        let text = fs::read_to_string(self.pages()).context("read the book")?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    fn program(&self) -> String {
        self.folder.join("write-down").display().to_string()
    }

    fn pages(&self) -> String {
        self.folder.join("book").display().to_string()
    }
}
