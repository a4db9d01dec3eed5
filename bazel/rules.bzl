"""The only rules that BUILD.bazel files use, so that flags live in one place (the twin of cmake/Modules.cmake)."""

_COPTS = [
    "-Wall",
    "-Wextra",
    "-Wno-unused-parameter",
    "-Wthread-safety",
    "-Wno-missing-field-initializers",
    "-Werror",
]

def fabro_cc_library(name, copts = [], **kwargs):
    native.cc_library(name = name, copts = _COPTS + copts, visibility = ["//visibility:public"], **kwargs)

def fabro_cc_program(name, copts = [], **kwargs):
    native.cc_binary(name = name, copts = _COPTS + copts, visibility = ["//visibility:public"], **kwargs)

def fabro_cc_test(name, copts = [], programs = [], **kwargs):
    """A GoogleTest program. The other files of its folder lie beside it when it runs, and the programs are where macros say."""
    native.cc_test(
        name = name,
        copts = _COPTS + copts,
        local_defines = [
            '%s_PROGRAM=\\"%s\\"' % (p.split(":")[1].upper().replace("-", "_"), p[2:].replace(":", "/"))
            for p in programs
        ],
        data = programs + native.glob(["**"], exclude = ["**/*.cc", "**/*.h", "**/*.py", "CMakeLists.txt", "BUILD.bazel"], allow_empty = True),
        timeout = "moderate",
        **kwargs
    )

def fabro_proto_library(name, protos, services, imports, googleapis, deps):
    """Runs the system's protoc over the whole proto/ tree: one library for all of it, its descriptors included.

    Args:
      name: of the library.
      protos: ours, relative to proto/.
      services: those of them that declare a gRPC service.
      imports: the files of googleapis that ours import.
      googleapis: the folder the imports are in, outside the tree.
      deps: of the library.
    """
    outs = [p[:-len(".proto")] + end for p in protos + imports for end in (".pb.h", ".pb.cc")]
    grpc_outs = [p[:-len(".proto")] + end for p in services for end in (".grpc.pb.h", ".grpc.pb.cc")]
    include = "-I%s -I%s" % (native.package_name(), googleapis)
    native.genrule(
        name = name + "_gen",
        srcs = protos,
        outs = outs + grpc_outs,
        cmd = " && ".join([
            "protoc %s --cpp_out=$(RULEDIR) $(SRCS) %s" % (include, " ".join(imports)),
            "protoc %s --grpc_out=$(RULEDIR) --plugin=protoc-gen-grpc=/usr/bin/grpc_cpp_plugin %s" % (include, " ".join(services)),
        ]),
    )
    native.genrule(
        name = name + "_descriptors",
        srcs = protos,
        outs = ["api.binpb"],
        cmd = "protoc %s --include_imports --include_source_info --descriptor_set_out=$@ $(SRCS)" % include,
        visibility = ["//visibility:public"],
    )
    native.genrule(
        name = name + "_descriptor_set",
        srcs = ["embed.py", "api.binpb"],
        outs = ["descriptor_set.cc"],
        cmd = "python3 $(location embed.py) $(location api.binpb) $@",
    )
    native.cc_library(
        name = name,
        srcs = [o for o in outs + grpc_outs if o.endswith(".cc")] + ["api.cc", "descriptor_set.cc"],
        hdrs = [o for o in outs + grpc_outs if o.endswith(".h")] + ["api.h"],
        includes = ["."],
        copts = ["-w"],
        visibility = ["//visibility:public"],
        deps = deps,
    )
