# Warnings and hardening, applied to our own targets only (never to generated protobuf code).
add_library(bulwark_flags INTERFACE)
target_compile_options(bulwark_flags INTERFACE -Wall -Wextra -Wshadow -Wconversion -Wnon-virtual-dtor
                                               $<$<BOOL:${BULWARK_WERROR}>:-Werror>)

# Applied to everything, generated code included.
add_library(bulwark_hardening INTERFACE)
target_compile_options(bulwark_hardening INTERFACE -fstack-protector-strong -ffunction-sections -fdata-sections
                                                   $<$<CXX_COMPILER_ID:GNU>:-fcf-protection=full>)
target_compile_definitions(bulwark_hardening INTERFACE _GLIBCXX_ASSERTIONS)
if(NOT BULWARK_SANITIZE AND NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
  target_compile_options(bulwark_hardening INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
endif()
target_link_options(bulwark_hardening INTERFACE -Wl,-z,relro,-z,now -Wl,--gc-sections)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

if(BULWARK_SANITIZE)
  add_compile_options(-fsanitize=${BULWARK_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${BULWARK_SANITIZE})
endif()
if(BULWARK_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
endif()
