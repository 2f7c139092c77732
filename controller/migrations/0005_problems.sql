-- Problems, as the other records of 0002; and which incidents stand in each.

CREATE TABLE problem (
    number BIGINT NOT NULL PRIMARY KEY,
    state TEXT NOT NULL,
    origin TEXT NOT NULL,
    priority BIGINT NOT NULL,
    title TEXT NOT NULL,
    assigned_group TEXT,
    incidents BIGINT NOT NULL,
    opened_at BIGINT NOT NULL,
    resolved_at BIGINT,
    updated_at BIGINT NOT NULL,
    held BIGINT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX problem_state ON problem (state, number);
CREATE INDEX problem_held ON problem (held, number);

CREATE TABLE problem_incident (
    problem BIGINT NOT NULL,
    incident BIGINT NOT NULL,
    PRIMARY KEY (problem, incident)
);
CREATE INDEX problem_incident_incident ON problem_incident (incident, problem);
