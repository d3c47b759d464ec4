package load

import (
	"bytes"
	"math"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// ticksPerSecond is USER_HZ, which is 100 wherever Go runs on Linux.
const ticksPerSecond = 100

// readUsage sums what processes have used so far; what cannot be read is NaN.
func readUsage(pids []int) Usage {
	u := Usage{CPU: math.NaN(), System: math.NaN(), Calls: math.NaN(), PSS: math.NaN()}
	for i, pid := range pids {
		v := Usage{CPU: cpuClock(pid), System: systemTime(pid), Calls: calls(pid), PSS: pss(pid)}
		if i == 0 {
			u = v
			continue
		}
		u.CPU, u.System, u.Calls, u.PSS = u.CPU+v.CPU, u.System+v.System, u.Calls+v.Calls, u.PSS+v.PSS
	}
	return u
}

// cpuClock reads the CPU clock of a process, in seconds. Its number is made of
// the process's as clock_getcpuclockid(3) does it.
func cpuClock(pid int) float64 {
	const scheduled = 2
	var ts unix.Timespec
	if unix.ClockGettime(int32(^pid<<3|scheduled), &ts) != nil {
		return math.NaN()
	}
	return float64(ts.Sec) + float64(ts.Nsec)/1e9
}

// systemTime is stime, field 15 of /proc/PID/stat. The second field is the
// program's name in parentheses and may hold anything.
func systemTime(pid int) float64 {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return math.NaN()
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:]) // from the third on
	if len(fields) < 13 {
		return math.NaN()
	}
	return number(fields[12]) / ticksPerSecond
}

// calls counts read and write system calls; those of send and recv are not in it.
func calls(pid int) float64 {
	return field("/proc/"+strconv.Itoa(pid)+"/io", "syscr:") + field("/proc/"+strconv.Itoa(pid)+"/io", "syscw:")
}

// pss is the memory of a process in bytes; pages it shares count in part.
func pss(pid int) float64 {
	return 1024 * field("/proc/"+strconv.Itoa(pid)+"/smaps_rollup", "Pss:")
}

// field returns the number behind a name at the start of a line.
func field(path, name string) float64 {
	text, err := os.ReadFile(path)
	if err != nil {
		return math.NaN()
	}
	for line := range bytes.Lines(text) {
		if f := bytes.Fields(line); len(f) > 1 && string(f[0]) == name {
			return number(f[1])
		}
	}
	return math.NaN()
}

func number(b []byte) float64 {
	n, err := strconv.ParseUint(string(b), 10, 64)
	if err != nil {
		return math.NaN()
	}
	return float64(n)
}
