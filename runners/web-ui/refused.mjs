/**
 * Says which locked packages npm's log complains of, and which packages asked for them: npm itself names one alone,
 * and for a wrong checksum none. Where the lock has no addresses, a package's list of versions is asked for first.
 * Arguments: package-lock.json, the logs.
 */
import { readFileSync } from "node:fs";

const [lockFile, ...logs] = process.argv.slice(2);
const { packages } = JSON.parse(readFileSync(lockFile, "utf8"));
const complaints = logs
    .flatMap((log) => readFileSync(log, "utf8").split("\n"))
    .filter((line) => /http fetch GET [45]\d\d | error /.test(line))
    .join("\n");

const nameOf = (path) => path.split("node_modules/").at(-1);

const addresses = complaints.match(/https?:\/\/\S+/g) ?? [];

function askers(name) {
    return Object.entries(packages)
        .filter(([, entry]) => name in { ...entry.dependencies, ...entry.optionalDependencies, ...entry.devDependencies })
        .map(([path, entry]) => nameOf(path) || entry.name || "package.json");
}

for (const [path, entry] of Object.entries(packages)) {
    const name = nameOf(path);
    const marks = [`${name}@${entry.version}`, `/${name}/-/${name.split("/").at(-1)}-${entry.version}.tgz`, entry.integrity];
    const isListRefused = addresses.some((address) => decodeURIComponent(address).endsWith(`/${name}`));
    if (path && (isListRefused || marks.some((mark) => mark && complaints.includes(mark)))) {
        console.error(`${name}@${entry.version} could not be had, asked for by ${askers(name).join(", ") || "nobody"}`);
    }
}
