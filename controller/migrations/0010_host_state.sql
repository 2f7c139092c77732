-- What detection and ingest keep of each host between inputs: the states of its event rules, the hash that each section of
-- its inventory stands at. One row a host, as JSON; committed with what follows from it.

CREATE TABLE host_state (
    agent TEXT NOT NULL PRIMARY KEY,
    state TEXT NOT NULL
);
