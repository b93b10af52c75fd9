"""The few kernel calls that Python does not offer, by ctypes, and their numbers."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from functools import lru_cache
from typing import Any

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_KEEPCAPS = 1, 4, 8
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 36, 38
CAP_DAC_READ_SEARCH = 2

#: name:x86_64:aarch64, "-" where the architecture has no such call. Source: Linux unistd.h of both.
_TABLE = """
read:0:63 write:1:64 open:2:- close:3:57 stat:4:- fstat:5:80 lstat:6:- poll:7:- lseek:8:62 mmap:9:222
mprotect:10:226 munmap:11:215 brk:12:214 rt_sigaction:13:134 rt_sigprocmask:14:135 rt_sigreturn:15:139 ioctl:16:29
pread64:17:67 pwrite64:18:68 readv:19:65 writev:20:66 access:21:- pipe:22:- select:23:- sched_yield:24:124
mremap:25:216 msync:26:227 mincore:27:232 madvise:28:233 dup:32:23 dup2:33:- pause:34:- nanosleep:35:101
getitimer:36:102 alarm:37:- setitimer:38:103 getpid:39:172 sendfile:40:71 sendto:44:206 recvfrom:45:207
shutdown:48:210 clone:56:220 execve:59:221 exit:60:93 wait4:61:260 kill:62:129 uname:63:160 fcntl:72:25 flock:73:32
fsync:74:82 fdatasync:75:83 ftruncate:77:46 getdents:78:- getcwd:79:17 chdir:80:49 fchdir:81:50 rename:82:-
mkdir:83:- rmdir:84:- unlink:87:- readlink:89:- umask:95:166 gettimeofday:96:169 getrlimit:97:163 getrusage:98:165
sysinfo:99:179 times:100:153 ptrace:101:117 getuid:102:174 getgid:104:176 geteuid:107:175 getegid:108:177
getppid:110:173 getpgrp:111:- getgroups:115:158 getresuid:118:148 getresgid:120:150 getpgid:121:155 getsid:124:156
rt_sigpending:127:136 rt_sigtimedwait:128:137 rt_sigsuspend:130:133 sigaltstack:131:132 statfs:137:43 fstatfs:138:44
getpriority:140:141 sched_getparam:143:121 sched_getscheduler:145:120 sched_get_priority_max:146:125
sched_get_priority_min:147:126 modify_ldt:154:- pivot_root:155:41 prctl:157:167 arch_prctl:158:- chroot:161:51
acct:163:89 settimeofday:164:170 mount:165:40 umount2:166:39 swapon:167:224 swapoff:168:225 reboot:169:142
sethostname:170:161 setdomainname:171:162 iopl:172:- ioperm:173:- init_module:175:105 delete_module:176:106
quotactl:179:60 gettid:186:178 readahead:187:213 time:201:- futex:202:98 sched_setaffinity:203:122
sched_getaffinity:204:123 getdents64:217:61 set_tid_address:218:96 restart_syscall:219:128 fadvise64:221:223
clock_settime:227:112 clock_gettime:228:113 clock_getres:229:114 clock_nanosleep:230:115 exit_group:231:94
epoll_wait:232:- epoll_ctl:233:21 tgkill:234:131 get_mempolicy:239:236 kexec_load:246:104 waitid:247:95
add_key:248:217 request_key:249:218 keyctl:250:219 openat:257:56 mkdirat:258:34 newfstatat:262:79 unlinkat:263:35
renameat:264:38 readlinkat:267:78 faccessat:269:48 pselect6:270:72 ppoll:271:73 unshare:272:97
set_robust_list:273:99 epoll_pwait:281:22 fallocate:285:47 dup3:292:24 pipe2:293:59 preadv:295:69 pwritev:296:70
eventfd2:290:19 epoll_create1:291:20 perf_event_open:298:241 fanotify_init:300:262 prlimit64:302:261
open_by_handle_at:304:265 clock_adjtime:305:266 setns:308:268 getcpu:309:168 process_vm_readv:310:270
process_vm_writev:311:271 kcmp:312:272 finit_module:313:273 renameat2:316:276 seccomp:317:277 getrandom:318:278
kexec_file_load:320:294 bpf:321:280 execveat:322:281 userfaultfd:323:282 membarrier:324:283 copy_file_range:326:285
preadv2:327:286 pwritev2:328:287 statx:332:291 rseq:334:293 io_uring_setup:425:425 io_uring_enter:426:426
io_uring_register:427:427 open_tree:428:428 move_mount:429:429 fsopen:430:430 fsconfig:431:431 fsmount:432:432
fspick:433:433 clone3:435:435 close_range:436:436 openat2:437:437 pidfd_getfd:438:438 faccessat2:439:439
process_madvise:440:440 epoll_pwait2:441:441 mount_setattr:442:442 landlock_create_ruleset:444:444
landlock_add_rule:445:445 landlock_restrict_self:446:446 futex_waitv:449:449 capget:125:90 capset:126:91
"""


@lru_cache(maxsize=2)
def numbers(machine: str) -> dict[str, int]:
    """System call numbers by name on `x86_64` or `aarch64`. Raises KeyError for another machine."""
    column = {"x86_64": 1, "aarch64": 2}[machine]
    rows = (entry.split(":") for entry in _TABLE.split())
    return {row[0]: int(row[column]) for row in rows if row[column] != "-"}


def machine() -> str:
    """`x86_64`, `aarch64`, or "" where the layers that need system calls are out of reach."""
    name = platform.machine()
    known = sys.platform.startswith("linux") and name in ("x86_64", "aarch64") and sys.maxsize > 2**32
    return name if known else ""


@lru_cache(maxsize=1)
def _libc() -> Any:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    return libc


def prepare() -> None:
    """Look up the C library's functions and the table of numbers ahead of the first call."""
    if machine():
        syscall("getpid")


def syscall(name: str, *arguments: Any) -> int:
    """Make a system call with integer or ctypes arguments. Raises OSError."""
    words = [ctypes.c_long(word) if isinstance(word, int) else word for word in arguments]
    result = int(_libc().syscall(ctypes.c_long(numbers(machine())[name]), *words))
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


def prctl(option: int, *arguments: int) -> int:
    """prctl(2), missing arguments as 0. Raises OSError."""
    words = [ctypes.c_ulong(word) for word in (*arguments, 0, 0, 0, 0)[:4]]
    result = int(_libc().prctl(ctypes.c_int(option), *words))
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl({option}): {os.strerror(number)}")
    return result


def capabilities() -> tuple[int, int]:
    """The calling thread's effective and permitted capabilities, as bit masks."""
    header, data = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    syscall("capget", ctypes.byref(header), ctypes.byref(data))
    return data[0] | data[3] << 32, data[1] | data[4] << 32


def set_capabilities(mask: int) -> None:
    """Leave only the capabilities in `mask`, none inheritable. Raises OSError if one of them is not permitted."""
    low, high = mask & 0xFFFFFFFF, mask >> 32
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)(low, low, 0, high, high, 0)
    syscall("capset", ctypes.byref(header), ctypes.byref(data))


def wipe_variable(name: str) -> bool:
    """Overwrite a variable's value where the kernel put it, so that /proc/PID/environ forgets it too.

    `os.environ` is left alone. Returns whether the variable was there.
    """
    getenv = _libc().getenv
    getenv.restype = ctypes.c_void_p
    address = getenv(ctypes.c_char_p(os.fsencode(name)))
    if not address:
        return False
    ctypes.memset(address, ord("*"), len(ctypes.string_at(address)))
    return True
