// Says what to do where Node is too old for the build's tools (vite 8 asks for 20.19).
const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(
    `the console is built with Node 20.19 or later; this is ${process.versions.node} (Debian 12 has 18).\n` +
      "Install one from https://nodejs.org/en/download and put it first in PATH; cargo build works without it.",
  );
  process.exit(1);
}
