// llama.cpp with one thread, as node-llama-cpp brings it built: a run for each line that comes in, with its seconds of CPU.
//     node llama.mjs PACKAGES MODEL.gguf       lines are {"prompt": [ids], "tokens": n}
import {createInterface} from "node:readline";
import {createRequire} from "node:module";
import {pathToFileURL} from "node:url";

const place = createRequire(process.argv[2] + "/").resolve("node-llama-cpp");
const {getLlama, LlamaLogLevel} = await import(pathToFileURL(place));
const seconds = () => { const {user, system} = process.cpuUsage(); return (user + system) / 1e6; };
const llama = await getLlama({gpu: false, maxThreads: 1, build: "never", logLevel: LlamaLogLevel.error});
const model = await llama.loadModel({modelPath: process.argv[3]});
const context = await model.createContext({contextSize: 1024, batchSize: 512, threads: {ideal: 1, min: 1}});
const sequence = context.getSequence();

for await (const line of createInterface({input: process.stdin})) {
    const {prompt, tokens} = JSON.parse(line);
    await sequence.clearHistory();
    const started = seconds(), made = [];
    let read = 0;
    for await (const token of sequence.evaluate(prompt, {temperature: 0, yieldEogToken: true})) {
        if (!made.length) read = seconds();
        made.push(token);
        if (made.length > tokens) break;
    }
    console.log(JSON.stringify({prefill: read - started, decode: seconds() - read, made}));
}
process.exit(0);
