# bulwark_protos(NAME SOURCES x.proto ... [LITE] [GRPC] DEPS ...)
# Generates C++ for .proto files under proto/ (imports are relative to proto/). LITE generates against the lite runtime
# (for the shim); GRPC adds service stubs. LITE and full output of one file can coexist: they go to different folders,
# and a target sees exactly one of them.
find_library(PROTOBUF_LITE_ARCHIVE libprotobuf-lite.a REQUIRED)
# Which protobuf runtime a program gets is the program's choice, made with its BULWARK_PROTOBUF property: "lite" or
# "lite-static" for the shim; anything else gets the full one, which contains lite. Never both in one process.
set(BULWARK_PROTOBUF_RUNTIME
  "$<IF:$<STREQUAL:$<TARGET_PROPERTY:BULWARK_PROTOBUF>,lite-static>,${PROTOBUF_LITE_ARCHIVE},$<IF:$<STREQUAL:$<TARGET_PROPERTY:BULWARK_PROTOBUF>,lite>,protobuf::libprotobuf-lite,protobuf::libprotobuf>>")
find_program(GRPC_CPP_PLUGIN grpc_cpp_plugin REQUIRED)
function(bulwark_protos name)
  cmake_parse_arguments(ARG "LITE;GRPC" "" "SOURCES;DEPS" ${ARGN})
  set(out "${PROJECT_BINARY_DIR}/gen/${name}")
  file(MAKE_DIRECTORY ${out})
  set(mode "")
  if(ARG_LITE)
    set(mode "lite:")
  endif()
  set(generated "")
  foreach(proto ${ARG_SOURCES})
    string(REGEX REPLACE "\\.proto$" "" stem ${proto})
    set(files ${out}/${stem}.pb.cc ${out}/${stem}.pb.h)
    set(grpc_args "")
    if(ARG_GRPC)
      list(APPEND files ${out}/${stem}.grpc.pb.cc ${out}/${stem}.grpc.pb.h)
      set(grpc_args --grpc_out=${out} --plugin=protoc-gen-grpc=${GRPC_CPP_PLUGIN})
    endif()
    # Well-known types that the lite output needs are listed as google/protobuf/*.proto and come from protoc's includes.
    set(dep "")
    if(EXISTS ${PROJECT_SOURCE_DIR}/proto/${proto})
      set(dep ${PROJECT_SOURCE_DIR}/proto/${proto})
    endif()
    add_custom_command(OUTPUT ${files}
      COMMAND ${Protobuf_PROTOC_EXECUTABLE} -I ${PROJECT_SOURCE_DIR}/proto -I ${Protobuf_INCLUDE_DIRS}
              --cpp_out=${mode}${out} ${grpc_args} ${proto}
      DEPENDS ${dep} VERBATIM)
    list(APPEND generated ${files})
  endforeach()
  add_library(bulwark_${name} STATIC ${generated})
  add_library(bulwark::${name} ALIAS bulwark_${name})
  target_include_directories(bulwark_${name} SYSTEM BEFORE PUBLIC ${out})
  target_link_libraries(bulwark_${name} PUBLIC ${ARG_DEPS} PRIVATE bulwark_hardening)
  if(ARG_LITE)
    target_link_libraries(bulwark_${name} PUBLIC ${BULWARK_PROTOBUF_RUNTIME})
  else()
    target_link_libraries(bulwark_${name} PUBLIC protobuf::libprotobuf)
    # Under ThreadSanitizer map_field.h gives map fields two more members, which Debian's libprotobuf does not know.
    if(BULWARK_SANITIZE MATCHES thread)
      target_compile_options(bulwark_${name} PUBLIC -U__SANITIZE_THREAD__)
    endif()
  endif()
  if(ARG_GRPC)
    target_link_libraries(bulwark_${name} PUBLIC gRPC::grpc++)
  endif()
endfunction()
