// Judges Kubernetes objects (a JSON list on standard input) by the schemas of kubernetes-models, and by its types for what
// schemas let pass: fields that do not exist. Prints one complaint a line. usage: node judge.js NODE_FOLDER < objects.json
"use strict";
const fs = require("fs");
const path = require("path");
const folder = path.resolve(process.argv[2]);
const load = require("module").createRequire(path.join(folder, "package.json"));
const ts = load("typescript");

const objects = JSON.parse(fs.readFileSync(0, "utf8"));
const complaints = [];
const nameOf = (object) => `${object.kind} ${object.metadata && object.metadata.name}`;

for (const object of objects) {
  try {
    const kinds = load(`kubernetes-models/${object.apiVersion}`);
    if (!kinds[object.kind]) throw new Error(`${object.apiVersion} has no kind ${object.kind}`);
    new kinds[object.kind](object).validate();
  } catch (error) {
    complaints.push(`${nameOf(object)}: ${error.message}`);
  }
}

const file = path.join(folder, "objects.ts");
const source = objects
  .map((object, i) => `import { I${object.kind} as T${i} } from "kubernetes-models/${object.apiVersion}/${object.kind}";\n` +
    `export const object${i}: T${i} = ${JSON.stringify(object, null, 1)};\n`)
  .join("");
const options = {strict: true, noEmit: true, skipLibCheck: true, types: [], module: ts.ModuleKind.CommonJS,
                 moduleResolution: ts.ModuleResolutionKind.Node10, target: ts.ScriptTarget.ES2020};
const host = ts.createCompilerHost(options);
const {fileExists, getSourceFile, readFile} = host;
host.fileExists = (name) => name === file || fileExists(name);
host.readFile = (name) => (name === file ? source : readFile(name));
host.getSourceFile = (name, ...rest) => name === file ? ts.createSourceFile(name, source, options.target) : getSourceFile(name, ...rest);
const lines = source.split("\n");
for (const found of ts.getPreEmitDiagnostics(ts.createProgram([file], options, host))) {
  const where = found.file && found.file.fileName === file ? found.file.getLineAndCharacterOfPosition(found.start).line : null;
  complaints.push(ts.flattenDiagnosticMessageText(found.messageText, " ") + (where === null ? "" : `: ${lines[where].trim()}`));
}

if (complaints.length) console.log(complaints.join("\n"));
process.exit(complaints.length ? 1 : 0);
