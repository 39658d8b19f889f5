// Says before and after a benchmark what it runs on: `node --import`. Figures of two machines can be compared by their
// ratios only, and those of a busy machine tell little.
import { availableParallelism, cpus, loadavg } from "node:os"

const load = () => `load ${loadavg()[0].toFixed(1)}`
const model = cpus()[0]?.model.trim() || "unknown processor"
console.log(`${model}, ${availableParallelism()} processors; Node ${process.versions.node}; ${load()}`)
process.on("exit", () => console.log(load()))
