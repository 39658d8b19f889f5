// What a benchmark ran on, in one line: figures of two machines can be compared by their ratios only, and none that was
// taken on a busy one tells much.
import { availableParallelism, cpus, loadavg } from "node:os"

/** The processor, Node and the load of the last minute. */
export const machine = () => {
  const model = cpus()[0]?.model.trim() || "unknown processor"
  const load = loadavg()[0].toFixed(1)
  return `${model}, ${availableParallelism()} processors; Node ${process.versions.node} on ${process.platform}; load ${load}`
}
