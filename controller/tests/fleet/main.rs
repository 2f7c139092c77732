//! The fleet's edge as agents meet it: real MQTT over TLS against the embedded broker, and enrolment over HTTPS.

mod acl;
mod client;
mod doors;
mod enrolment;
mod life;
mod mosquitto;
mod world;
