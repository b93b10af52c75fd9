"""Calls into corners of the kernel that no model needs, and ways round the filter."""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import struct
import threading
from typing import Any

from stage import CRASHED, FORBIDDEN_CALL, X86, World, attack, call, raw, read

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000


@attack(FORBIDDEN_CALL, CRASHED)
def call_in_32_bit_mode(world: World) -> Any:
    """int 0x80 with another table of numbers: 20 is getpid there. Crashes where the kernel has no 32-bit mode."""
    if not X86:
        os.kill(os.getpid(), 31)
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")
    address = ctypes.addressof(ctypes.c_char.from_buffer(code))
    return ctypes.CFUNCTYPE(ctypes.c_int)(address)()


@attack(FORBIDDEN_CALL)
def call_in_x32_mode(world: World) -> Any:
    if not X86:
        os.kill(os.getpid(), 31)
    return raw(0x40000000 | 39)


@attack()
def call_unknown_number(world: World) -> Any:
    return call("never_assigned")


@attack(FORBIDDEN_CALL)
def call_from_a_thread(world: World) -> Any:
    """The filter and Landlock hold in threads, too."""
    stolen = []

    def steal() -> None:
        try:
            stolen.append(read(world.canary_file))
        except OSError:
            call("unshare", 0)

    thread = threading.Thread(target=steal)
    thread.start()
    thread.join()
    return stolen or "a forbidden call passed"


@attack(FORBIDDEN_CALL)
def submit_by_ring(world: World) -> Any:
    return call("io_uring_setup", 1, ctypes.create_string_buffer(256))


@attack(FORBIDDEN_CALL)
def mount_file_system(world: World) -> Any:
    name = ctypes.create_string_buffer(b"tmpfs")
    return call("mount", name, ctypes.create_string_buffer(os.fsencode(world.scratch)), name, 0, 0)


@attack(FORBIDDEN_CALL)
def open_file_system(world: World) -> Any:
    return call("fsopen", ctypes.create_string_buffer(b"tmpfs"), 0)


@attack(FORBIDDEN_CALL)
def move_mount_tree(world: World) -> Any:
    return call("open_tree", -100, ctypes.create_string_buffer(b"/"), 1)


@attack(FORBIDDEN_CALL)
def pivot_root(world: World) -> Any:
    dot = ctypes.create_string_buffer(b".")
    return call("pivot_root", dot, dot)


@attack(FORBIDDEN_CALL)
def unmount(world: World) -> Any:
    return call("umount2", ctypes.create_string_buffer(os.fsencode(world.scratch)), 0)


@attack(FORBIDDEN_CALL)
def unshare_user(world: World) -> Any:
    return call("unshare", _CLONE_NEWUSER)


@attack()
def clone_into_user_namespace(world: World) -> Any:
    if call("clone", _CLONE_NEWUSER | 17, 0, 0, 0, 0) == 0:
        os._exit(0)
    return "cloned"


@attack()
def clone_into_network_namespace(world: World) -> Any:
    if call("clone", _CLONE_NEWNET | 17, 0, 0, 0, 0) == 0:
        os._exit(0)
    return "cloned"


@attack(FORBIDDEN_CALL)
def enter_namespace(world: World) -> Any:
    return call("setns", 0, 0)


@attack(FORBIDDEN_CALL)
def read_keyring(world: World) -> Any:
    return call("keyctl", 0, -3, 1, 0, 0)


@attack(FORBIDDEN_CALL)
def add_key(world: World) -> Any:
    text = ctypes.create_string_buffer(b"user")
    return call("add_key", text, text, text, 4, -2)


@attack(FORBIDDEN_CALL)
def load_bpf(world: World) -> Any:
    return call("bpf", 0, ctypes.create_string_buffer(128), 128)


@attack(FORBIDDEN_CALL)
def open_performance_counter(world: World) -> Any:
    return call(
        "perf_event_open", ctypes.create_string_buffer(struct.pack("=II", 1, 128) + b"\0" * 120), 0, -1, -1, 0
    )


@attack(FORBIDDEN_CALL)
def handle_page_faults(world: World) -> Any:
    return call("userfaultfd", 1)


@attack(FORBIDDEN_CALL)
def load_kernel(world: World) -> Any:
    return call("kexec_load", 0, 0, 0, 0)


@attack(FORBIDDEN_CALL)
def load_module(world: World) -> Any:
    return call("init_module", 0, 0, 0)


@attack(FORBIDDEN_CALL)
def load_module_by_descriptor(world: World) -> Any:
    return call("finit_module", -1, 0, 0)


@attack(FORBIDDEN_CALL)
def reboot_with_wrong_magic(world: World) -> Any:
    return call("reboot", 0, 0, 0, 0)


@attack(FORBIDDEN_CALL)
def set_clock(world: World) -> Any:
    return call("clock_settime", -1, 0)


@attack(FORBIDDEN_CALL)
def rename_host(world: World) -> Any:
    return call("sethostname", 0, 0)


@attack(FORBIDDEN_CALL)
def reach_ports(world: World) -> Any:
    if not X86:
        os.kill(os.getpid(), 31)
    return call("iopl", 3)


@attack(FORBIDDEN_CALL)
def change_descriptor_table(world: World) -> Any:
    if not X86:
        os.kill(os.getpid(), 31)
    return call("modify_ldt", 0, 0, 0)


@attack()
def change_personality(world: World) -> Any:
    """Switch off the randomisation of addresses, or read implies execute."""
    return call("personality", 0x0440000)


@attack()
def add_own_filter(world: World) -> Any:
    return call("seccomp", 1, 0, 0)


@attack()
def read_kernel_log(world: World) -> Any:
    return call("syslog", 3, ctypes.create_string_buffer(4096), 4096)


@attack()
def make_secret_memory(world: World) -> Any:
    return call("memfd_secret", 0)


@attack(control=True)
def create_timer(world: World) -> Any:
    """A kernel timer can signal a thread by number."""
    timer = ctypes.c_int()
    return call("timer_create", 1, 0, ctypes.byref(timer))


@attack()
def name_file_handle(world: World) -> Any:
    handle = ctypes.create_string_buffer(struct.pack("=Ii", 0, 0) + b"\0" * 128)
    mount = ctypes.c_int()
    path = ctypes.create_string_buffer(world.canary_file.encode())
    return call("name_to_handle_at", -100, path, handle, ctypes.byref(mount), 0)


@attack(FORBIDDEN_CALL)
def type_into_terminal(world: World) -> Any:
    return fcntl.ioctl(0, 0x5412, b"x")


@attack(FORBIDDEN_CALL)
def paste_into_console(world: World) -> Any:
    return fcntl.ioctl(0, 0x541C, b"\x03")


@attack()
def set_attributes_by_new_call(world: World) -> Any:
    return call("setxattrat", -100, 0, 0, 0, 0, 0)
