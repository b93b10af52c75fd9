"""What hostile code tries inside a worker, as source: every attempt in turn, each outcome told.

Everything here must fail without ending the process; what the kernel answers with death stands in tests of its own.
"""

ATTEMPTS = '''
import contextlib, ctypes, glob, signal, socket, threading, time

got, refused = {}, {}

def attempt(name, action):
    try:
        found = action()
    except BaseException as error:
        refused[name] = type(error).__name__
    else:
        got[name] = repr(found)[:2000]

def read(path):
    with open(path, "rb") as file:
        return file.read(1 << 20)

def write(path):
    with open(path, "w") as file:
        file.write("taken")

parent, supervisor = os.getppid(), int(world["supervisor"])
secrets = {name: value for name, value in os.environ.items() if "TOKEN" in name.upper()}
if secrets:
    got["environment"] = repr(secrets)
libc = ctypes.CDLL(None)
libc.getenv.restype = ctypes.c_char_p
if libc.getenv(b"GITHUB_TOKEN"):
    got["the C library's environment"] = "there"

for path in world["canaries"]:
    attempt("read " + path, lambda: read(path))
for pid in ("self", 1, parent, supervisor):
    for leaf in ("environ", "mem", "cmdline", "root/etc/hostname", "cwd/canary"):
        attempt(f"read /proc/{pid}/{leaf}", lambda: read(f"/proc/{pid}/{leaf}"))
attempt("list processes", lambda: os.listdir("/proc"))
attempt("list the workspace", lambda: os.listdir(world["workspace"]))
attempt("list descriptors", lambda: os.listdir("/proc/self/fd"))
attempt("read passwords", lambda: read("/etc/shadow"))

for name in ("AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK", "AF_PACKET", "AF_VSOCK", "AF_ALG"):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW):
        attempt(f"{name} {kind}", lambda: socket.socket(getattr(socket, name), kind))
attempt("socket pair", socket.socketpair)
attempt("connect", lambda: socket.create_connection(("127.0.0.1", world["port"]), 2))
attempt("resolve", lambda: socket.getaddrinfo("localhost", 80))

for path in world["outside"]:
    attempt("write " + path, lambda: write(path))
for path in (*world["stray"], "../taken"):
    attempt("write " + path, lambda: write(path))
attempt("link", lambda: os.symlink(world["canaries"][0], "link"))
attempt("hard link", lambda: os.link(world["canaries"][0], "link"))
attempt("fifo", lambda: os.mkfifo("fifo"))
attempt("mode", lambda: os.chmod(world["outside"][0], 0o777))
attempt("times", lambda: os.utime(world["workspace"]))

for pid in (parent, supervisor, world["bystander"], -1):
    for number in (0, signal.SIGKILL, signal.SIGSTOP):
        attempt(f"signal {number} to {pid}", lambda: os.kill(pid, number))
attempt("signal the group", lambda: os.killpg(os.getpgid(parent), signal.SIGKILL))
attempt("priority", lambda: os.setpriority(os.PRIO_PROCESS, parent, 19))
attempt("affinity", lambda: os.sched_setaffinity(supervisor, {0}))
attempt("fork", os.fork)
attempt("pidfd", lambda: os.pidfd_open(supervisor))
attempt("become root", lambda: os.setuid(0))

def other_descriptors():
    """Channels of other workers, the zygote's orders: whatever answers among the descriptors."""
    for other in range(1024):
        if other > 2 and other != fd:
            with contextlib.suppress(OSError):
                os.write(other, b"forged")
                return other
    raise OSError("none")

attempt("other descriptors", other_descriptors)
for stream in (1, 2):
    with contextlib.suppress(OSError):
        os.write(stream, world["command"].encode())

def threads():
    started = 0
    def wait():
        time.sleep(0.5)
    for _ in range(5000):
        threading.Thread(target=wait, daemon=True).start()
        started += 1
    return started

def descriptors():
    return [os.open("/dev/null", os.O_RDONLY) for _ in range(5000)]

attempt("threads", threads)
attempt("descriptors", descriptors)
'''
