"""Reading what is not the worker's, and writing outside its scratch."""
# ruff: noqa: PTH101, PTH102, PTH104, PTH106, PTH108, PTH109, PTH118, PTH119, PTH120, PTH123, PTH208, PTH211

from __future__ import annotations

import ctypes
import mmap
import os
import shutil
import struct
from typing import Any

from stage import FORBIDDEN_CALL, REFUSED, RefusedError, World, attack, call, read

_AT_FDCWD = -100
_O_PATH = 0o10000000


@attack(control=True)
def read_canary(world: World) -> Any:
    return read(world.canary_file)


@attack(control=True)
def read_canary_mapped(world: World) -> Any:
    fd = os.open(world.canary_file, os.O_RDONLY)
    return mmap.mmap(fd, 0, prot=mmap.PROT_READ)[:].decode()


@attack(control=True)
def read_canary_through_dotdot(world: World) -> Any:
    return read(os.path.join("..", os.path.relpath(world.canary_file, os.path.dirname(world.scratch))))


@attack(control=True)
def read_canary_through_symlink(world: World) -> Any:
    os.symlink(world.canary_file, "way_out")
    return read("way_out")


@attack(control=True)
def read_canary_through_hard_link(world: World) -> Any:
    os.link(world.canary_file, "second_name")
    return read("second_name")


@attack(control=True)
def read_canary_through_openat2(world: World) -> Any:
    path, how = ctypes.create_string_buffer(world.canary_file.encode()), struct.pack("=QQQ", 0, 0, 0)
    fd = call("openat2", _AT_FDCWD, path, ctypes.create_string_buffer(how, 24), 24)
    return os.read(fd, 1000).decode()


@attack(control=True)
def read_canary_through_o_path(world: World) -> Any:
    fd = os.open(world.canary_file, _O_PATH)
    return read(f"/proc/self/fd/{fd}")


@attack(control=True)
def read_canary_through_rename(world: World) -> Any:
    os.rename(world.canary_file, "moved_in")
    found = read("moved_in")
    os.rename("moved_in", world.canary_file)
    return found


@attack(FORBIDDEN_CALL)
def read_canary_by_handle(world: World) -> Any:
    mount = os.open("/", os.O_RDONLY | _O_PATH)
    handle = ctypes.create_string_buffer(struct.pack("=Ii", 8, 1) + b"\x02" + b"\0" * 40)
    return call("open_by_handle_at", mount, handle, 0)


@attack(control=True)
def open_directory_by_descriptor(world: World) -> Any:
    folder = os.open(os.path.dirname(world.canary_file), os.O_RDONLY | os.O_DIRECTORY)
    return os.read(os.open(os.path.basename(world.canary_file), os.O_RDONLY, dir_fd=folder), 1000).decode()


@attack(control=True)
def list_workspace(world: World) -> Any:
    return os.listdir(os.path.dirname(world.canary_file))


@attack(control=True)
def list_temporary_directory(world: World) -> Any:
    return os.listdir("/tmp")


@attack(control=True)
def read_passwords(world: World) -> Any:
    return read("/etc/passwd")


@attack(control=True)
def read_every_descriptor(world: World) -> Any:
    """The zygote holds the canary open, and says nothing about closing it."""
    found = []
    for fd in range(1024):
        if fd == world.channel:
            continue
        try:
            found.append(os.pread(fd, 1000, 0).decode("latin-1"))
        except OSError:
            continue
    text = "".join(found)
    if not text:
        raise RefusedError("no descriptor has anything to read")
    return text


@attack(control=True)
def read_own_environment(world: World) -> Any:
    return read("/proc/self/environ")


@attack()
def read_supervisor_environment(world: World) -> Any:
    return read(f"/proc/{world.supervisor}/environ")


@attack(control=True)
def read_zygote_environment(world: World) -> Any:
    return read(f"/proc/{world.zygote}/environ")


@attack(control=True)
def read_bystander_environment(world: World) -> Any:
    return read(f"/proc/{world.bystander}/environ")


@attack(control=True)
def read_init_environment(world: World) -> Any:
    return read("/proc/1/cmdline")


@attack(control=True)
def read_supervisor_command_line(world: World) -> Any:
    return read(f"/proc/{world.supervisor}/cmdline")


@attack(control=True)
def read_bystander_memory(world: World) -> Any:
    start = int(read(f"/proc/{world.bystander}/maps").split("-")[0], 16)
    fd = os.open(f"/proc/{world.bystander}/mem", os.O_RDONLY)
    return os.pread(fd, 4, start).hex()


@attack(control=True)
def read_through_root_of_another(world: World) -> Any:
    return read(f"/proc/{world.bystander}/root{world.canary_file}")


@attack(control=True)
def read_through_working_directory_of_another(world: World) -> Any:
    return read(f"/proc/{world.bystander}/cwd/{os.path.basename(world.canary_file)}")


@attack(control=True)
def list_descriptors_of_another(world: World) -> Any:
    return os.listdir(f"/proc/{world.bystander}/fd")


@attack(control=True)
def list_processes(world: World) -> Any:
    return [name for name in os.listdir("/proc") if name.isdigit()]


@attack(control=True)
def watch_workspace(world: World) -> Any:
    return call("inotify_init1", 0) >= 0


@attack(FORBIDDEN_CALL)
def watch_file_system(world: World) -> Any:
    return call("fanotify_init", 0, 0)


@attack(control=True)
def create_file_outside(world: World) -> Any:
    with open(os.path.join(world.outside, "new"), "w") as file:
        return file.write("x")


@attack(control=True)
def overwrite_file_outside(world: World) -> Any:
    with open(os.path.join(world.outside, "existing"), "w") as file:
        return file.write("x")


@attack(control=True)
def append_to_file_outside(world: World) -> Any:
    with open(os.path.join(world.outside, "existing"), "a") as file:
        return file.write("x")


@attack(control=True)
def truncate_file_outside(world: World) -> Any:
    os.truncate(os.path.join(world.outside, "existing"), 0)
    return "truncated"


@attack(control=True)
def truncate_by_reading(world: World) -> Any:
    return os.open(os.path.join(world.outside, "existing"), os.O_RDONLY | os.O_TRUNC)


@attack()
def truncate_library_file(world: World) -> Any:
    """A readable file that this user might own: opened for reading alone, Landlock before ABI 3 lets it pass."""
    import decimal

    return os.open(decimal.__file__, os.O_RDONLY | os.O_TRUNC) if world.scratch == os.getcwd() else None


@attack(control=True)
def remove_file_outside(world: World) -> Any:
    os.unlink(os.path.join(world.outside, "existing"))
    return "removed"


@attack(control=True)
def make_directory_outside(world: World) -> Any:
    os.mkdir(os.path.join(world.outside, "folder"))
    return "made"


@attack(control=True)
def remove_directory_outside(world: World) -> Any:
    os.rmdir(os.path.join(world.outside, "empty"))
    return "removed"


@attack(control=True)
def move_file_out(world: World) -> Any:
    with open("mine", "w") as file:
        file.write("x")
    os.rename("mine", os.path.join(world.outside, "moved"))
    return "moved"


@attack(control=True)
def copy_file_out(world: World) -> Any:
    with open("mine", "w") as file:
        file.write("x")
    return shutil.copyfile("mine", os.path.join(world.outside, "copied"))


@attack(control=True)
def link_file_out(world: World) -> Any:
    with open("mine", "w") as file:
        file.write("x")
    os.link("mine", os.path.join(world.outside, "linked"))
    return "linked"


@attack(control=True)
def symlink_outside(world: World) -> Any:
    os.symlink("/etc", os.path.join(world.outside, "pointer"))
    return "linked"


@attack(control=True)
def write_through_symlink(world: World) -> Any:
    os.symlink(world.outside, "exit")
    with open("exit/new", "w") as file:
        return file.write("x")


@attack(control=True)
def change_mode_outside(world: World) -> Any:
    os.chmod(os.path.join(world.outside, "existing"), 0o777)
    return "changed"


@attack()
def change_mode_outside_by_new_call(world: World) -> Any:
    path = ctypes.create_string_buffer(os.path.join(world.outside, "existing").encode())
    return call("fchmodat2", _AT_FDCWD, path, 0o777, 0)


@attack(control=True)
def change_owner_outside(world: World) -> Any:
    os.chown(os.path.join(world.outside, "existing"), os.getuid(), 12345 if os.getuid() == 0 else os.getgid())
    return "changed"


@attack(control=True)
def change_times_outside(world: World) -> Any:
    os.utime(os.path.join(world.outside, "existing"), (1, 1))
    return "changed"


@attack()
def set_attribute_outside(world: World) -> Any:
    os.setxattr(os.path.join(world.outside, "existing"), "user.preflight", b"x")
    return "set"


@attack(control=True)
def make_device(world: World) -> Any:
    if os.getuid() != 0:
        raise RefusedError("only root makes devices")
    os.mknod("device", 0o020600, os.makedev(1, 1))
    return "made"


@attack(control=True)
def make_fifo(world: World) -> Any:
    os.mkfifo("fifo")
    return "made"


@attack(control=True)
def write_shared_memory_file(world: World) -> Any:
    path = f"/dev/shm/preflight-{os.getpid()}"
    with open(path, "w") as file:
        file.write("x")
    os.unlink(path)
    return "written"


@attack(control=True)
def write_temporary_file(world: World) -> Any:
    path = f"/tmp/preflight-{os.getpid()}"
    with open(path, "w") as file:
        file.write("x")
    os.unlink(path)
    return "written"


@attack(control=True)
def write_own_process_settings(world: World) -> Any:
    with open("/proc/self/oom_score_adj", "w") as file:
        return file.write("500")


@attack(control=True)
def open_terminal(world: World) -> Any:
    return os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY)


@attack(FORBIDDEN_CALL)
def leave_by_chroot(world: World) -> Any:
    os.chroot(".")
    return "left"


@attack(REFUSED, control=True)
def make_anonymous_file(world: World) -> Any:
    """Memory that no limit of this process counts."""
    return os.memfd_create("hidden")
