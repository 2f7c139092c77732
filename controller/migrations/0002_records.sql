-- Records as they now stand: the columns that lists ask for, beside the whole record as JSON.
-- held = 1: the desk holds it in memory and is restored from it.

CREATE TABLE incident (
    number BIGINT NOT NULL PRIMARY KEY,
    incident_key TEXT NOT NULL,
    state TEXT NOT NULL,
    priority BIGINT NOT NULL,
    title TEXT NOT NULL,
    rule TEXT NOT NULL,
    ci TEXT,
    agent TEXT,
    service TEXT,
    assignee TEXT,
    assigned_group TEXT,
    opened_at BIGINT NOT NULL,
    resolved_at BIGINT,
    updated_at BIGINT NOT NULL,
    held BIGINT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX incident_state ON incident (state, number);
CREATE INDEX incident_key ON incident (incident_key, number);
CREATE INDEX incident_ci ON incident (ci, number);
CREATE INDEX incident_agent ON incident (agent, number);
CREATE INDEX incident_held ON incident (held, number);

CREATE TABLE change (
    number BIGINT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    title TEXT NOT NULL,
    run BIGINT,
    incident BIGINT,
    agent TEXT,
    opened_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    held BIGINT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX change_state ON change (state, number);
CREATE INDEX change_incident ON change (incident, number);
CREATE INDEX change_held ON change (held, number);

-- What a change touches.
CREATE TABLE change_ci (
    ci TEXT NOT NULL,
    change BIGINT NOT NULL,
    PRIMARY KEY (ci, change)
);
CREATE INDEX change_ci_change ON change_ci (change);

CREATE TABLE run (
    number BIGINT NOT NULL PRIMARY KEY,
    runbook TEXT NOT NULL,
    state TEXT NOT NULL,
    incident BIGINT,
    change BIGINT,
    agent TEXT,
    opened_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    held BIGINT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX run_state ON run (state, number);
CREATE INDEX run_incident ON run (incident, number);
CREATE INDEX run_held ON run (held, number);

CREATE TABLE agent (
    name TEXT NOT NULL PRIMARY KEY,
    standing TEXT NOT NULL,
    serial TEXT NOT NULL,
    version TEXT NOT NULL,
    since BIGINT NOT NULL,
    ci TEXT,
    updated_at BIGINT NOT NULL,
    body TEXT NOT NULL
);

CREATE TABLE timer (
    timer_key TEXT NOT NULL PRIMARY KEY,
    due BIGINT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX timer_due ON timer (due);

CREATE TABLE setting (
    name TEXT NOT NULL PRIMARY KEY,
    updated_at BIGINT NOT NULL,
    body TEXT NOT NULL
);
